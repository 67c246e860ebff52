//! What IndexedDB reports when it fails, and what that means to a store.

use indexed_db_futures::error::{DomException, Error as IdbError, OpenDbError};
use web_sys::DomException as System;

use crate::error::{Error, ErrorCode};

/// Not a name of the host's: what this side found by itself.
const DELETED: &str = "Deleted";

#[derive(Debug)]
pub struct Failure {
    /// The name of the host's exception.
    name: String,
    message: String,
    begun: bool,
}

impl Failure {
    fn new(name: &str, message: impl Into<String>) -> Failure {
        Failure { name: name.to_string(), message: message.into(), begun: true }
    }

    pub fn of_exception(exception: &System) -> Failure {
        Failure::new(&exception.name(), exception.message())
    }

    /// The deadline passed.
    pub fn late(what: &str) -> Failure {
        Failure::new("TimeoutError", format!("{what} took too long"))
    }

    /// The store was there, and is not any more.
    pub fn deleted() -> Failure {
        Failure::new(DELETED, "the store was deleted")
    }

    pub fn is_deleted(&self) -> bool {
        self.name == DELETED
    }

    /// The transaction could not be started, so it did nothing.
    pub fn not_begun(error: impl Into<Failure>) -> Failure {
        Failure { begun: false, ..error.into() }
    }

    /// A commit that failed. At a full quota the reason stands in the transaction alone.
    pub fn of_commit(error: IdbError, transaction: Option<System>, is_over: bool) -> Failure {
        if is_over {
            return Failure::late("the write was aborted, because it");
        }
        transaction.map_or_else(|| Failure::from(error), |exception| Failure::of_exception(&exception))
    }

    /// A guard did not hold: a name that must be absent is there.
    pub fn is_taken(&self) -> bool {
        self.name == "ConstraintError"
    }

    pub fn is_not_begun(&self) -> bool {
        !self.begun
    }

    /// The connection is of no more use; another one may be.
    pub fn is_dead_connection(&self) -> bool {
        matches!(self.name.as_str(), "InvalidStateError" | "UnknownError" | "AbortError" | "NotFoundError")
    }

    /// Trying again a little later may help.
    pub fn may_pass(&self) -> bool {
        matches!(self.name.as_str(), "UnknownError" | "AbortError" | "InvalidStateError" | "TimeoutError")
    }

    pub fn into_error(self) -> Error {
        if self.is_deleted() {
            return Error::new(ErrorCode::Closed, self.message);
        }
        let code = match self.name.as_str() {
            "QuotaExceededError" => ErrorCode::QuotaExceeded,
            "TimeoutError" => ErrorCode::Timeout,
            _ => ErrorCode::StorageUnavailable,
        };
        Error::new(code, format!("IndexedDB failed: {}. name={}", self.message, self.name))
    }
}

impl From<IdbError> for Failure {
    fn from(error: IdbError) -> Failure {
        match error {
            IdbError::DomException(exception) => Failure::of_exception(&System::from(exception)),
            // The library's own word for an abort whose reason it does not look up.
            IdbError::MissingData(reason) => Failure::new("AbortError", reason.to_string()),
            other => Failure::new("Error", other.to_string()),
        }
    }
}

impl From<DomException> for Failure {
    fn from(exception: DomException) -> Failure {
        Failure::of_exception(&System::from(exception))
    }
}

impl From<OpenDbError> for Failure {
    fn from(error: OpenDbError) -> Failure {
        match error {
            OpenDbError::Base(error) => error.into(),
            other => Failure::new("NotSupportedError", other.to_string()),
        }
    }
}
