//! What the API holds about a volume: what is wanted, and what its owner last reported.

use crate::bytes::Bytes;
use crate::name::VolumeUid;
use serde::{Deserialize, Serialize};

/// Version of an object in the API store; a write names the version it was decided on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

/// How far the owner has come, as it last wrote it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Phase {
    /// Nothing was done yet.
    #[default]
    Pending,
    /// The owner is about to make the logical volume. No data can be on it.
    Claimed,
    /// The logical volume was there and may hold data ever since.
    Ready,
    /// It cannot be made; the reason stands beside it.
    Refused,
    /// It was ready and is gone.
    Lost,
}

/// The owner's report, beside the wish.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Report {
    /// How far it is.
    pub phase: Phase,
    /// Size of the logical volume, once there is one.
    pub size: Bytes,
    /// The wanted size that was refused, if the last growth was.
    pub refused: Option<Bytes>,
}

/// An object of the API, as one read or one watch event showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// The life of the volume this object stands for.
    pub uid: VolumeUid,
    /// Version that was read.
    pub version: Version,
    /// Wanted size, in whole extents.
    pub size: Bytes,
    /// Whether deletion was asked for; never taken back.
    pub deleting: bool,
    /// What the owner reported last.
    pub report: Report,
}
