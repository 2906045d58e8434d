//! The verbs of `iso-builder`, one file each.

pub mod build;
pub mod diff;
pub mod extract;
pub mod inspect;
pub mod keygen;
pub mod lock;
pub mod reproduce;
pub mod verify;

/// What a verb gives back to `main`.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;
