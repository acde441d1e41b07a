//! The one error type applications see.

use std::{fmt, sync::Arc};

/// Stable codes; the text beside them may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// An argument has the wrong type or value.
    InvalidArgument,
    /// A repo was called from inside one of its permission hooks.
    Reentrant,
    /// The repo or handle was closed.
    Closed,
    /// The time given was not enough.
    Timeout,
    /// The caller's signal ended the wait.
    Aborted,
    /// No adapter of the kind asked for exists.
    NoAdapter,
    /// Storage could not be read or written.
    Storage,
    /// Bytes could not be decoded.
    Decode,
    /// A permission or limit refused it.
    Refused,
    /// The document was deleted.
    Deleted,
    /// The document or record exists already.
    Exists,
    /// There is no such record.
    NotFound,
    /// A defect of corella itself.
    Panic,
}

impl ErrorCode {
    /// Returns the code as applications see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid-argument",
            Self::Reentrant => "reentrant",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Aborted => "aborted",
            Self::NoAdapter => "no-adapter",
            Self::Storage => "storage",
            Self::Decode => "decode",
            Self::Refused => "refused",
            Self::Deleted => "deleted",
            Self::Exists => "exists",
            Self::NotFound => "not-found",
            Self::Panic => "panic",
        }
    }
}

/// An error with a stable code, a sentence for people, and its cause.
#[derive(Debug, Clone)]
pub struct RepoError {
    code: ErrorCode,
    message: String,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl RepoError {
    /// Makes an error.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }

    /// Keeps what led to it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for RepoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RepoError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
