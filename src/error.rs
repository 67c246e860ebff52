//! One opaque error for every layer: the code says what a caller can do, the message is for people.

use std::fmt;

pub type Result<T> = std::result::Result<T, Error>;

/// Codes are public API: they never change their meaning. A new one needs a caller who would act differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    InvalidName,
    InvalidKey,
    InvalidValue,
    InvalidUpdate,
    InvalidOption,
    TooLarge,
    DatabaseExists,
    DatabaseNotFound,
    KeyExists,
    NotANumber,
    Overflow,
    WrongKind,
    Conflict,
    NotAClone,
    CloneDepthExceeded,
    CloneDependency,
    HistoryPruned,
    Closed,
    Aborted,
    Timeout,
    QuotaExceeded,
    StorageUnavailable,
    StorageCorrupt,
    FormatTooNew,
    FormatTooOld,
    InvalidImport,
    Internal,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::InvalidName => "INVALID_NAME",
            ErrorCode::InvalidKey => "INVALID_KEY",
            ErrorCode::InvalidValue => "INVALID_VALUE",
            ErrorCode::InvalidUpdate => "INVALID_UPDATE",
            ErrorCode::InvalidOption => "INVALID_OPTION",
            ErrorCode::TooLarge => "TOO_LARGE",
            ErrorCode::DatabaseExists => "DATABASE_EXISTS",
            ErrorCode::DatabaseNotFound => "DATABASE_NOT_FOUND",
            ErrorCode::KeyExists => "KEY_EXISTS",
            ErrorCode::NotANumber => "NOT_A_NUMBER",
            ErrorCode::Overflow => "OVERFLOW",
            ErrorCode::WrongKind => "WRONG_KIND",
            ErrorCode::Conflict => "CONFLICT",
            ErrorCode::NotAClone => "NOT_A_CLONE",
            ErrorCode::CloneDepthExceeded => "CLONE_DEPTH_EXCEEDED",
            ErrorCode::CloneDependency => "CLONE_DEPENDENCY",
            ErrorCode::HistoryPruned => "HISTORY_PRUNED",
            ErrorCode::Closed => "CLOSED",
            ErrorCode::Aborted => "ABORTED",
            ErrorCode::Timeout => "TIMEOUT",
            ErrorCode::QuotaExceeded => "QUOTA_EXCEEDED",
            ErrorCode::StorageUnavailable => "STORAGE_UNAVAILABLE",
            ErrorCode::StorageCorrupt => "STORAGE_CORRUPT",
            ErrorCode::FormatTooNew => "FORMAT_TOO_NEW",
            ErrorCode::FormatTooOld => "FORMAT_TOO_OLD",
            ErrorCode::InvalidImport => "INVALID_IMPORT",
            ErrorCode::Internal => "INTERNAL",
        }
    }

    /// True if the same call can succeed later, with nothing changed by the caller but time or free space. It may be
    /// done twice that way, unless the error's outcome is known: see `Error::is_retryable`.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            ErrorCode::Conflict | ErrorCode::Timeout | ErrorCode::QuotaExceeded | ErrorCode::StorageUnavailable
        )
    }
}

/// A typed detail of an error, for callers that act on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    Text(String),
    Texts(Vec<String>),
    Number(u64),
}

/// The outcome of the work that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FailureOutcome {
    /// Nothing of it was written, nor will be.
    None,
    /// All of it may have been written, or may yet be.
    Unknown,
}

impl FailureOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            FailureOutcome::None => "none",
            FailureOutcome::Unknown => "unknown",
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: ErrorCode,
    message: String,
    details: Vec<(&'static str, Detail)>,
    outcome: FailureOutcome,
}

impl Error {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { code, message: message.into(), details: Vec::new(), outcome: FailureOutcome::None }))
    }

    /// The same, of work that may have been done.
    pub fn of_unknown_outcome(mut self) -> Error {
        self.0.outcome = FailureOutcome::Unknown;
        self
    }

    pub fn outcome(&self) -> FailureOutcome {
        self.0.outcome
    }

    /// True if the same call can succeed later, and cannot be done twice by that.
    pub fn is_retryable(&self) -> bool {
        self.0.code.is_passing() && self.0.outcome == FailureOutcome::None
    }

    /// Damage: names what is lost, so that a person can judge it.
    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(ErrorCode::StorageCorrupt, message)
    }

    /// `what` is of another format than the one that this version reads. It is left untouched.
    pub fn of_other_format(what: &str, format: u8, own: u8) -> Error {
        let (code, than) = match format > own {
            true => (ErrorCode::FormatTooNew, "a newer"),
            false => (ErrorCode::FormatTooOld, "an older"),
        };
        let message =
            format!("{what} was written by {than} Offshoot, and is left untouched. format={format}, own={own}");
        Error::new(code, message)
    }

    pub fn with(mut self, name: &'static str, detail: Detail) -> Error {
        self.0.details.push((name, detail));
        self
    }

    pub fn with_text(self, name: &'static str, text: impl Into<String>) -> Error {
        self.with(name, Detail::Text(text.into()))
    }

    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The disk is full, or the quota used up.
    pub fn is_full(&self) -> bool {
        self.0.code == ErrorCode::QuotaExceeded
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn details(&self) -> &[(&'static str, Detail)] {
        &self.0.details
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
