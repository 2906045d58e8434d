//! What a caller is told when a request is not carried out, and by which gRPC code.

use crate::store::StoreError;
use ingot_lvm::LvmError;
use tonic::{Code, Status};

/// A request that was not carried out. The text says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// What it is about does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The name is taken by something different.
    #[error("{0}")]
    Exists(String),
    /// There is no room.
    #[error("{0}")]
    NoRoom(String),
    /// The size is not possible.
    #[error("{0}")]
    OutOfRange(String),
    /// Something must be different before it can work.
    #[error("{0}")]
    Precondition(String),
    /// Something else goes on with it; ask again.
    #[error("{0}")]
    Busy(String),
    /// The answer did not come in time; ask again.
    #[error("{0}")]
    Late(String),
    /// The storage or the store cannot be reached now.
    #[error("{0}")]
    Unavailable(String),
    /// Something failed that should not.
    #[error("{0}")]
    Internal(String),
}

impl Problem {
    /// The code: chosen by what the caller does with it.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::NotFound(_) => Code::NotFound,
            Self::Exists(_) => Code::AlreadyExists,
            Self::NoRoom(_) => Code::ResourceExhausted,
            Self::OutOfRange(_) => Code::OutOfRange,
            Self::Precondition(_) => Code::FailedPrecondition,
            Self::Busy(_) => Code::Aborted,
            Self::Late(_) => Code::DeadlineExceeded,
            Self::Unavailable(_) => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        Self::new(problem.code(), problem.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let text = error.to_string();
        match error {
            StoreError::Exists(_) | StoreError::NotFound(_) | StoreError::Conflict(_) => {
                Self::Busy(format!("{text}; ask again"))
            }
            StoreError::Refused(..) => Self::Internal(text),
            StoreError::Unavailable(_) | StoreError::Crashed => Self::Unavailable(text),
        }
    }
}

impl From<LvmError> for Problem {
    fn from(error: LvmError) -> Self {
        let text = error.to_string();
        match error {
            LvmError::NoSpace { .. } => Self::NoRoom(text),
            LvmError::NotFound { .. } => Self::NotFound(text),
            LvmError::Invalid { .. } => Self::Precondition(text),
            LvmError::WrongKey { .. } => Self::Invalid(text),
            LvmError::InUse { .. } | LvmError::Exists { .. } => Self::Precondition(text),
            LvmError::GroupMissing { .. } | LvmError::Hung { .. } | LvmError::Crashed => {
                Self::Unavailable(text)
            }
            LvmError::Failed { .. } => Self::Internal(text),
        }
    }
}
