//! Writes a module's functions more alike, so that gzip finds more that repeats: the module takes 2 % less. A function
//! keeps its instructions; it is as long and as fast as before.
//!
//! - A load of four bytes can say that its address may be odd. Engines take the saying as a hint, and the processors
//!   that browsers run on load as fast from there. So all loads say the same here.
//! - Two functions with equal instructions, one of which has its first local where the other has its second, share
//!   hardly a piece. So each function's locals are numbered here in the way that repeats most of what stands before it.

use crate::module::{Function, Module};
use crate::steps::Failure;
use std::collections::BTreeSet;

/// Pieces of so many bytes are looked for. A piece of eight holds one of four, so a long one counts several times.
const PIECES: [usize; 3] = [4, 6, 8];
const LONGEST: usize = PIECES[PIECES.len() - 1];
/// A function is likened to so many bytes before it: gzip looks back 32 KiB, also within the function.
const WINDOW: usize = 28_000;
/// Every two locals are exchanged on trial so often, unless nothing was gained in a round.
const ROUNDS: usize = 4;

/// The same module with hints and locals written alike.
pub fn write_alike(mut bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let module = Module::read(&bytes)?;
    let mut window = Window::new();
    for function in module.functions {
        let body = &mut bytes[function.range.clone()];
        function.hints.iter().for_each(|hint| body[hint.place] = hint.natural);
        Numbering::new(function, body, &window).improve();
        window.pass(body);
    }
    Ok(bytes)
}

/// The pieces of the last bytes.
struct Window {
    /// How many pieces have a hash. Of two pieces with one hash, one counts as found where it is not: that is rare and
    /// costs a few bytes.
    counts: Vec<u16>,
    /// All bytes so far.
    passed: Vec<u8>,
    /// The pieces that begin from here on are in the window, but those that do not end yet.
    first: usize,
    next: usize,
}

const HASH_BITS: u32 = 21;

fn hash(piece: &[u8]) -> usize {
    let number = piece.iter().fold(piece.len() as u64, |number, byte| number.rotate_left(8) ^ u64::from(*byte));
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - HASH_BITS)) as usize
}

impl Window {
    fn new() -> Window {
        Window { counts: vec![0; 1 << HASH_BITS], passed: Vec::new(), first: 0, next: 0 }
    }

    /// Takes in what follows, and forgets as much at the other end.
    fn pass(&mut self, body: &[u8]) {
        self.passed.extend_from_slice(body);
        while self.next + LONGEST <= self.passed.len() {
            PIECES.iter().for_each(|length| self.counts[hash(&self.passed[self.next..][..*length])] += 1);
            self.next += 1;
        }
        while self.next - self.first > WINDOW {
            PIECES.iter().for_each(|length| self.counts[hash(&self.passed[self.first..][..*length])] -= 1);
            self.first += 1;
        }
    }

    /// How many of the pieces that begin at a place of the body are in the window.
    fn found(&self, body: &[u8], place: usize) -> i64 {
        let pieces = PIECES.iter().filter_map(|length| body.get(place..place + length));
        pieces.filter(|piece| self.counts[hash(piece)] > 0).count() as i64
    }
}

/// The locals of a function while they are exchanged.
struct Numbering<'a> {
    function: Function,
    body: &'a mut [u8],
    window: &'a Window,
}

impl Numbering<'_> {
    fn new<'a>(function: Function, body: &'a mut [u8], window: &'a Window) -> Numbering<'a> {
        Numbering { function, body, window }
    }

    /// Exchanges two locals of a kind as long as that makes the body more like what is in the window.
    fn improve(&mut self) {
        let count = self.function.locals.len();
        for _ in 0..ROUNDS {
            let mut is_better = false;
            for one in 0..count {
                for other in one + 1..count {
                    is_better |= self.try_exchange(one, other);
                }
            }
            if !is_better {
                return;
            }
        }
    }

    /// Exchanges the locals if that is a gain, and says whether it was.
    fn try_exchange(&mut self, one: usize, other: usize) -> bool {
        if self.function.locals[one].kind != self.function.locals[other].kind {
            return false;
        }
        let around = self.around(one, other);
        let before = self.found(&around);
        self.exchange(one, other);
        let is_better = self.found(&around) > before;
        if !is_better {
            self.exchange(one, other);
        }
        is_better
    }

    /// The places where a piece begins that holds one of the two numbers.
    fn around(&self, one: usize, other: usize) -> BTreeSet<usize> {
        let locals = &self.function.locals;
        let mentions = locals[one].mentions.iter().chain(&locals[other].mentions);
        mentions.flat_map(|place| (place + 1).saturating_sub(LONGEST)..=*place).collect()
    }

    fn found(&self, places: &BTreeSet<usize>) -> i64 {
        places.iter().map(|place| self.window.found(self.body, *place)).sum()
    }

    fn exchange(&mut self, one: usize, other: usize) {
        self.function.locals.swap(one, other);
        for local in [one, other] {
            let number = (self.function.parameters + local) as u8;
            self.function.locals[local].mentions.iter().for_each(|place| self.body[*place] = number);
        }
    }
}
