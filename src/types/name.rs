//! Names of databases and collections.

use std::fmt;
use std::rc::Rc;

use super::limits;
use crate::error::{Error, ErrorCode, Result};

fn check(what: &str, name: &str) -> Result<Rc<str>> {
    let fits = (1..=limits::NAME_CHARACTERS).contains(&name.len());
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits && plain && !name.starts_with('.') {
        return Ok(name.into());
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!(
        "a {what}'s name is 1 to {} characters of letters, digits, - _ . and does not start with a dot. name={shown:?}",
        limits::NAME_CHARACTERS
    );
    Err(Error::new(ErrorCode::InvalidName, message).with_text("name", shown))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $type(Rc<str>);

        impl $type {
            pub fn new(name: &str) -> Result<$type> {
                check($what, name).map($type)
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A database's name, unique in its store (SEMANTICS C9).
    DatabaseName,
    "database"
);
name!(
    /// A collection's name: the same on every replica, so rows are keyed by it and by no allocated number.
    CollectionName,
    "collection"
);

impl DatabaseName {
    /// The root database, which is made with its store and never dropped.
    pub fn main() -> DatabaseName {
        DatabaseName("main".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_three_signs() {
        for good in ["main", "a", "A-b_c.9", "9", "-", &"x".repeat(64)] {
            assert_eq!(DatabaseName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", ".hidden", "a b", "a/b", "ä", "a\0", &"x".repeat(65)] {
            assert_eq!(DatabaseName::new(bad).unwrap_err().code(), ErrorCode::InvalidName, "{bad:?}");
        }
    }
}
