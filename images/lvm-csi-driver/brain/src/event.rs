//! What happens to a volume.

use crate::disk::OnDisk;
use crate::intent::Intent;

/// A fact that may not be known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known<T> {
    /// Not read since it may have changed.
    Unknown,
    /// Read, and there is none.
    Absent,
    /// Read.
    Present(T),
}

/// Who has the volume open on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Use {
    /// Nobody.
    Idle,
    /// It is staged or published.
    Published,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The API was read or told us. Older versions than one already seen are ignored.
    Intent(Known<Intent>),
    /// The volume group was read. A group that cannot be read is [`Known::Unknown`], not absent.
    Disk(Known<OnDisk>),
    /// Somebody began or ended to use the volume.
    Use(Use),
    /// The command that was asked for last was carried out.
    Done,
    /// It failed, or its outcome is unknown.
    Failed(Failure),
    /// Time to try again what failed.
    Retry,
}

/// Why a command failed, as far as the next decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// The object had changed since it was read.
    Conflict,
    /// It does not fit; trying again will not help.
    NoSpace,
    /// It can never be done as it was asked for.
    Impossible,
    /// Anything else.
    Transient,
}
