//! A store as plain maps: a clone is a physical copy, and every commit leaves a copy of everything.

use std::collections::BTreeMap;
use std::rc::Rc;

use offshoot::error::ErrorCode;
use serde_json::Value;

use crate::rows::{Effect, Rows, Write};

/// A clone's beginning.
#[derive(Clone, Debug)]
pub struct Origin {
    pub name: String,
    pub as_of: u64,
    pub rows: Rc<Rows>,
}

#[derive(Clone, Debug)]
pub struct Database {
    /// Tells it from one made later under its name.
    pub id: u64,
    pub rows: Rc<Rows>,
    pub origin: Option<Origin>,
}

type Databases = BTreeMap<String, Database>;

#[derive(Clone)]
pub struct Model {
    /// By LSN, all databases as that commit left them.
    history: Vec<Databases>,
}

impl Model {
    pub fn new() -> Model {
        let main = Database { id: 0, rows: Rc::default(), origin: None };
        Model { history: vec![Databases::new(), Databases::from([("main".to_string(), main)])] }
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

    fn commit(&mut self, change: impl FnOnce(&mut Databases)) {
        let mut next = self.databases().clone();
        change(&mut next);
        self.history.push(next);
    }

    /// Calls done one after the other as one transaction: the answers, and the rows where anything is written.
    pub fn attempt(&self, name: &str, writes: &[Write]) -> Result<(Vec<Value>, Option<Rows>), ErrorCode> {
        let mut rows = (*self.get(name).rows).clone();
        let mut is_written = false;
        let mut answers = Vec::new();
        for write in writes {
            let Effect { answer, writes } = write.apply(&mut rows)?;
            answers.push(answer);
            is_written |= writes;
        }
        Ok((answers, is_written.then_some(rows)))
    }

    pub fn replace(&mut self, name: &str, rows: Rows) {
        self.commit(|databases| databases.get_mut(name).expect("it is there").rows = Rc::new(rows));
    }

    pub fn write(&mut self, name: &str, write: &Write) -> Result<Value, ErrorCode> {
        let (mut answers, rows) = self.attempt(name, std::slice::from_ref(write))?;
        if let Some(rows) = rows {
            self.replace(name, rows);
        }
        Ok(answers.remove(0))
    }

    pub fn clone_database(&mut self, origin: &str, name: &str, at: Option<u64>) -> Result<(), ErrorCode> {
        if self.databases().contains_key(name) {
            return Err(ErrorCode::DatabaseExists);
        }
        let as_of = at.unwrap_or(self.head());
        let then = self.at(origin, as_of).ok_or(ErrorCode::InvalidOption)?;
        let rows = then.rows.clone();
        let origin = Some(Origin { name: origin.to_string(), as_of, rows: rows.clone() });
        let made = Database { id: self.head() + 1, rows, origin };
        self.commit(|databases| drop(databases.insert(name.to_string(), made)));
        Ok(())
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
