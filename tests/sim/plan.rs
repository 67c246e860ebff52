//! Which tabs a seed has, and what befalls them.

use crate::random::Random;
use crate::storage::Faults;

/// One kind of trouble that a seed has or has not. `ALWAYS=damage,bodies` gives it to every seed of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dimension {
    /// Blocks are lost or damaged when they are read.
    Damage,
    /// The disk has a capacity.
    Capacity,
    /// At the end the disk is filled, and freed again.
    Freeing,
    /// The power is lost, and with it what was not flushed.
    Power,
    /// Bodies of transactions run transactions of their own.
    Nesting,
    /// Bodies of transactions wait for a minute, or for ever.
    Waiting,
    /// At the end nothing is left that nobody names.
    Leftovers,
    /// Databases are exported, and imported into other ones.
    Transfers,
    /// Writes take effect long after their senders gave up waiting.
    Late,
    /// The store is ten times the cache and more.
    Large,
    /// The first tab commits at every turn, and its storage is quicker than that of the others.
    Rush,
    /// Transactions read everything and take long, while others commit much, checkpoint and compact.
    Reading,
    /// At the end records of the log, or manifests, are lost or damaged.
    Wrecks,
    /// Merges often take a selection of the clone's rows and fields, and the rest waits.
    Selections,
}

impl Dimension {
    /// How many seeds of a thousand have it.
    fn frequency(self) -> u64 {
        match self {
            Dimension::Damage => 120,
            Dimension::Capacity => 100,
            Dimension::Freeing => 120,
            Dimension::Power => 120,
            Dimension::Nesting => 120,
            Dimension::Waiting => 120,
            Dimension::Leftovers => 300,
            Dimension::Transfers => 120,
            Dimension::Late => 100,
            Dimension::Large => 60,
            Dimension::Rush => 80,
            Dimension::Reading => 100,
            Dimension::Wrecks => 60,
            Dimension::Selections => 120,
        }
    }

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// True if a seed has the dimension. Each is drawn by itself, so that a new one moves none of the others.
    pub fn is_drawn(self, seed: u64) -> bool {
        let always = std::env::var("ALWAYS").unwrap_or_default();
        if always.split(',').any(|name| name == self.name()) {
            return true;
        }
        let never = std::env::var("NEVER").unwrap_or_default();
        let is_barred = never.split(',').any(|name| name == self.name());
        let own = Random::new(seed ^ ((self as u64 + 1) << 48));
        own.chance(self.frequency()) && !is_barred
    }
}

/// The properties of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub tabs: u64,
    pub actors: u64,
    pub actions: u64,
    pub crashes: u64,
    pub freezes: u64,
    pub jumps: u64,
    /// True if commits may be too large for the log.
    pub big: bool,
    pub cache_bytes: usize,
    /// True if tabs materialize the same clones at once, and empty them afterwards: leases keep no tab from it.
    pub races: bool,
    /// How many announcements of a thousand are lost.
    pub deafness: u64,
    /// How many actions of a thousand are maintenance.
    pub maintenance: u64,
    /// Milliseconds of history to keep.
    pub retain: Option<u64>,
    pub faults: Faults,
    pub damage: bool,
    /// Bytes that fit on the disk.
    pub capacity: Option<u64>,
    pub frees: bool,
    pub power: bool,
    pub nests: bool,
    pub waits: bool,
    pub leftovers: bool,
    pub transfers: bool,
    pub large: bool,
    pub rush: bool,
    pub reads_much: bool,
    pub wrecks: bool,
    pub selections: bool,
}

impl Plan {
    pub fn of(seed: u64) -> Plan {
        Plan::draw(seed, &Random::new(seed))
    }

    pub fn draw(seed: u64, random: &Random) -> Plan {
        let mut faults = Faults { delay: *random.pick(&[200, 2_000, 10_000]), ..Faults::default() };
        if random.chance(600) {
            faults.reads_fail = random.below(40);
            faults.writes_fail = random.below(150);
            faults.quota = random.below(60);
        }
        let races = random.chance(150);
        let mut plan = Plan {
            tabs: if races { 3 } else { random.between(1, 3) },
            actors: random.between(1, 4),
            actions: random.between(3, 12),
            crashes: random.below(4),
            freezes: if races { 8 } else { random.below(3) },
            jumps: random.below(2),
            big: random.chance(100),
            races,
            deafness: *random.pick(&[0, 400, 1000]),
            maintenance: *random.pick(&[10, 50, 150]),
            retain: if races { Some(0) } else { *random.pick(&[None, Some(0), Some(20)]) },
            cache_bytes: *random.pick(&[0, 100_000, 32 << 20]),
            faults,
            damage: false,
            capacity: None,
            frees: false,
            power: false,
            nests: false,
            waits: false,
            leftovers: false,
            transfers: false,
            large: false,
            rush: false,
            reads_much: false,
            wrecks: false,
            selections: false,
        };
        plan.add_dimensions(seed);
        plan
    }

    /// True if no tab stops, and storage carries out all requests.
    pub fn is_calm(&self) -> bool {
        let Faults { reads_fail, writes_fail, quota, late, .. } = self.faults;
        let has_trouble = self.damage || self.power || self.capacity.is_some();
        self.freezes + self.crashes + reads_fail + writes_fail + quota + late == 0 && !has_trouble
    }

    fn add_dimensions(&mut self, seed: u64) {
        if Dimension::Damage.is_drawn(seed) {
            self.damage = true;
            self.maintenance = 150;
            // A block that is in memory is not read, so its damage is never met: keep the cache small.
            self.cache_bytes = self.cache_bytes.min(100_000);
        }
        if Dimension::Capacity.is_drawn(seed) {
            self.capacity = Some(Random::new(!seed).between(40_000, 250_000));
        }
        if Dimension::Freeing.is_drawn(seed) {
            self.capacity = Some(4_000_000);
            self.frees = true;
            // Mostly, what is deleted is read by nobody and comes back.
            self.retain = if Random::new(!seed).chance(700) { Some(0) } else { self.retain };
        }
        if Dimension::Power.is_drawn(seed) {
            self.power = true;
            // Which tab opens first after a loss is known only where no other one opens.
            self.crashes = 0;
        }
        self.waits = Dimension::Waiting.is_drawn(seed);
        // A nested transaction that loses could wait for something that a waiting body holds: so such bodies nest too.
        self.nests = self.waits || Dimension::Nesting.is_drawn(seed);
        self.transfers = Dimension::Transfers.is_drawn(seed);
        if Dimension::Selections.is_drawn(seed) {
            self.selections = true;
            // A row waits only after both sides have written it, and is merged later still.
            self.actions += 6;
        }
        if Dimension::Late.is_drawn(seed) {
            self.faults.late = 40;
        }
        if Dimension::Large.is_drawn(seed) {
            self.large = true;
            self.cache_bytes = 20_000;
        }
        if Dimension::Rush.is_drawn(seed) {
            self.rush = true;
            self.tabs = self.tabs.max(2);
        }
        // Nested transactions that read much, and lose, work for a minute; so do those that lose to a rush.
        if Dimension::Reading.is_drawn(seed) && !self.nests && !self.rush {
            self.reads_much = true;
            self.big = true;
            self.maintenance = 150;
            // A few large rows fit in, and not all of them.
            self.cache_bytes = 2_000_000;
        }
        // Damaged blocks are looked at by themselves, and so is a power loss.
        self.wrecks = Dimension::Wrecks.is_drawn(seed) && !self.damage && !self.power;
        if Dimension::Leftovers.is_drawn(seed) {
            self.leftovers = true;
            // A sweep whose first write fails after its effect still leaves the run's blocks behind.
            self.faults.writes_fail = 0;
        }
    }
}
