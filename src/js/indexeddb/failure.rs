//! The failures that IndexedDB reports, and their meaning for a store.

use indexed_db_futures::error::{DomException, Error as IdbError, OpenDbError};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException as System;

use crate::error::{Error, ErrorCode};
use crate::js::error::{describe, to_js};

/// Not a name of the host's: this side found the failure by itself.
const DELETED: &str = "Deleted";

#[derive(Debug)]
pub struct Failure {
    /// The name of the host's exception.
    name: String,
    message: String,
    begun: bool,
    /// The host's exception, where there was one.
    cause: Option<JsValue>,
}

impl Failure {
    fn new(name: &str, message: impl Into<String>) -> Failure {
        Failure { name: name.to_string(), message: message.into(), begun: true, cause: None }
    }

    pub fn of_exception(exception: &System) -> Failure {
        let cause = Some(exception.clone().into());
        Failure { cause, ..Failure::new(&exception.name(), exception.message()) }
    }

    /// The failure that a call of the host's threw.
    pub fn of_thrown(thrown: JsValue) -> Failure {
        match thrown.dyn_into::<System>() {
            Ok(exception) => Failure::of_exception(&exception),
            Err(other) => Failure { cause: Some(other.clone()), ..Failure::new("Error", describe(&other)) },
        }
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

    /// A transaction that failed. At a full quota the reason stands in the transaction alone, and its requests may have
    /// no answer.
    pub fn of_transaction(answer: Option<IdbError>, transaction: Option<System>, is_over: bool) -> Failure {
        if is_over {
            return Failure::late("the write was aborted, because it");
        }
        let told = transaction.map(|exception| Failure::of_exception(&exception)).or(answer.map(Failure::from));
        told.unwrap_or_else(|| Failure::new("AbortError", "the host aborted the transaction"))
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
        matches!(self.name.as_str(), "UnknownError" | "AbortError" | "InvalidStateError")
    }

    /// As the error of an opening, with the host's exception as its cause.
    pub fn into_js(mut self) -> JsValue {
        // A frame without an origin of its own never gets storage.
        let is_final = self.name == "SecurityError";
        let cause = self.cause.take();
        let error = to_js(&self.into_error());
        if let Some(cause) = cause {
            let _ = Reflect::set(&error, &"cause".into(), &cause);
        }
        if is_final {
            let _ = Reflect::set(&error, &"retryable".into(), &JsValue::FALSE);
        }
        error
    }

    pub fn into_error(self) -> Error {
        if self.is_deleted() {
            return Error::new(ErrorCode::Closed, self.message);
        }
        let code = match self.name.as_str() {
            "QuotaExceededError" => ErrorCode::QuotaExceeded,
            "TimeoutError" => ErrorCode::Timeout,
            // The database has a higher version: a newer Offshoot made it.
            "VersionError" => ErrorCode::FormatTooNew,
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
            IdbError::Unknown(error) => Failure::new("Error", error.to_string()),
            // The library's own message shows numbers, and the code that writes them in decimal is 12 KB.
            _ => Failure::new("Error", "a value of IndexedDB is not of its type"),
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
            // No text of the library's: its code would bring that of the errors above.
            _ => Failure::new("NotSupportedError", "this environment has no IndexedDB"),
        }
    }
}
