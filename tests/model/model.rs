//! A store as plain maps: a clone is a physical copy, and every commit leaves a copy of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use offshoot::error::ErrorCode;
use serde_json::Value;

use crate::content::{Content, Numbers};
use crate::rows::{Effect, Key, Rows, Write};
use crate::three_way::Row;

/// A clone's beginning.
#[derive(Clone, Debug)]
pub struct Origin {
    pub name: String,
    pub as_of: u64,
    pub content: Rc<Content>,
}

#[derive(Clone, Debug)]
pub struct Database {
    /// Tells it from one made later under its name.
    pub id: u64,
    /// The commit that made it, or moved it to other rows as a whole.
    pub layer: u64,
    pub content: Rc<Content>,
    /// Collections that it made itself.
    pub made: BTreeSet<&'static str>,
    pub origin: Option<Origin>,
    /// The origin that a former clone copied its rows from. Only the marks of counters depend on it.
    pub copied: Option<Origin>,
    /// Rows that a merge left in conflict, with what both sides are compared with.
    pub parked: BTreeMap<Key, Option<Row>>,
}

impl Database {
    fn new(id: u64, origin: Option<Origin>) -> Database {
        let content = origin.as_ref().map_or_else(Rc::default, |origin| origin.content.clone());
        Database { id, layer: id, content, made: BTreeSet::new(), origin, copied: None, parked: BTreeMap::new() }
    }

    /// The origin of a clone, or the one that a former clone copied its rows from.
    pub fn beneath(&self) -> Option<&Origin> {
        self.origin.as_ref().or(self.copied.as_ref())
    }

    pub fn rows(&self) -> &Rows {
        &self.content.rows
    }
}

type Databases = BTreeMap<String, Database>;

#[derive(Clone)]
pub struct Model {
    /// For each LSN, all databases as that commit left them.
    history: Vec<Databases>,
    pub numbers: Numbers,
}

impl Model {
    pub fn new() -> Model {
        let main = Databases::from([("main".to_string(), Database::new(1, None))]);
        Model { history: vec![Databases::new(), main], numbers: Numbers::default() }
    }

    pub fn head(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    pub fn databases(&self) -> &Databases {
        self.history.last().expect("there is a first commit")
    }

    /// The name of one of the databases.
    pub fn pick(&self, number: usize) -> String {
        let names: Vec<_> = self.databases().keys().collect();
        names[number % names.len()].clone()
    }

    pub fn get(&self, name: &str) -> &Database {
        &self.databases()[name]
    }

    /// The database that has this name now, as it was; `None`: it was not there yet.
    pub fn at(&self, name: &str, lsn: u64) -> Option<&Database> {
        let then = self.history[lsn as usize].get(name)?;
        (then.id == self.get(name).id).then_some(then)
    }

    pub fn dependents(&self, name: &str) -> Vec<String> {
        let is_dependent = |database: &Database| database.origin.as_ref().is_some_and(|origin| origin.name == name);
        self.databases().iter().filter(|(_, database)| is_dependent(database)).map(|(name, _)| name.clone()).collect()
    }

    pub fn commit(&mut self, change: impl FnOnce(&mut Databases)) {
        let mut next = self.databases().clone();
        change(&mut next);
        self.history.push(next);
    }

    /// Calls done one after the other as one transaction: the answers, and the content where anything is written.
    pub fn attempt(&self, name: &str, writes: &[Write]) -> Result<(Vec<Value>, Option<Content>), ErrorCode> {
        let mut content = (*self.get(name).content).clone();
        let mut is_written = false;
        let mut answers = Vec::new();
        for write in writes {
            let Effect { answer, writes } = write.apply(&mut content.rows)?;
            answers.push(answer);
            if writes {
                let below = self.get(name).beneath().map(|origin| &*origin.content);
                content.note(write, &self.numbers, below);
            }
            is_written |= writes;
        }
        Ok((answers, is_written.then_some(content)))
    }

    pub fn replace(&mut self, name: &str, content: Content) {
        self.commit(|databases| {
            let database = databases.get_mut(name).expect("it is there");
            database.made.extend(content.collections.difference(&database.content.collections));
            database.content = Rc::new(content);
        });
    }

    pub fn write(&mut self, name: &str, write: &Write) -> Result<Value, ErrorCode> {
        let (mut answers, content) = self.attempt(name, std::slice::from_ref(write))?;
        if let Some(content) = content {
            self.replace(name, content);
        }
        Ok(answers.remove(0))
    }

    /// A clone that begins at a point of its origin.
    pub fn begun(&self, origin: &str, at: Option<u64>) -> Result<Database, ErrorCode> {
        let as_of = at.unwrap_or(self.head());
        let content = self.at(origin, as_of).ok_or(ErrorCode::InvalidOption)?.content.clone();
        Ok(Database::new(self.head() + 1, Some(Origin { name: origin.to_string(), as_of, content })))
    }

    pub fn clone_database(&mut self, origin: &str, name: &str, at: Option<u64>) -> Result<(), ErrorCode> {
        if self.databases().contains_key(name) {
            return Err(ErrorCode::DatabaseExists);
        }
        let made = self.begun(origin, at)?;
        self.commit(|databases| drop(databases.insert(name.to_string(), made)));
        Ok(())
    }

    /// A materialization changes nothing that is read.
    pub fn materialize(&mut self, name: &str) {
        let clone = self.get(name).clone();
        let Some(link) = clone.origin.clone() else { return };
        let made = clone.content.collections.clone();
        let copied = Database { origin: None, copied: Some(link), made, parked: BTreeMap::new(), ..clone };
        self.commit(|databases| drop(databases.insert(name.to_string(), copied)));
    }

    pub fn drop_database(&mut self, name: &str) -> Result<(), ErrorCode> {
        if name == "main" {
            return Err(ErrorCode::NotAClone);
        }
        if !self.dependents(name).is_empty() {
            return Err(ErrorCode::CloneDependency);
        }
        self.commit(|databases| drop(databases.remove(name)));
        Ok(())
    }
}
