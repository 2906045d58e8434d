//! Decides how a filesystem comes onto a volume: once, and only onto nothing.
//!
//! The tag on the logical volume is the memory, the device is the proof. A volume that was
//! formatted and shows no signature is damaged: it is refused, never formatted again. One that was
//! not holds nobody's data, since no pod is given a volume before it has the tag, or a record that
//! stands for it.

use crate::disk::FilesystemTag;

/// What was found at the beginning of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signature {
    /// Nothing at all.
    Blank,
    /// The wanted filesystem, and its own check finds it whole.
    Wanted,
    /// The wanted filesystem, but not whole.
    Partial,
    /// Something else.
    Foreign,
}

/// The next step before the volume can be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Make the filesystem, over whatever an interrupted attempt of ours left.
    MakeFilesystem,
    /// Write down that it is [`FilesystemTag::Formatted`], before anybody can write to it.
    TagFormatted,
    /// Mount it.
    Mount,
    /// Do not touch it.
    Refuse(Refusal),
}

/// Why a volume is not touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    /// Formatted by its tag, blank in fact.
    #[error(
        "the volume was formatted before and its device shows no filesystem now: it is damaged or the wrong device; it is not formatted again, restore it from a snapshot or a backup"
    )]
    Vanished,
    /// Holds something that nobody here put there.
    #[error(
        "the device holds something other than the wanted filesystem; nothing was overwritten: ask for the filesystem that is there, or delete the volume"
    )]
    Foreign,
}

/// The next step, from the tag and from a fresh look at the device.
pub fn next(tag: FilesystemTag, found: Signature) -> Step {
    use FilesystemTag::{Formatted, Formatting, Unformatted};
    use Signature::{Blank, Foreign, Partial, Wanted};
    match (tag, found) {
        // Not whole is only what our own attempt left when it was interrupted.
        (Unformatted | Formatting, Blank | Partial) => Step::MakeFilesystem,
        (Unformatted | Formatting, Wanted) => Step::TagFormatted,
        // By hand, perhaps: what a person put there is not overwritten.
        (Unformatted, Foreign) => Step::Refuse(Refusal::Foreign),
        // An interrupted attempt with another filesystem: nothing was ever mounted from it.
        (Formatting, Foreign) => Step::MakeFilesystem,
        (Formatted, Blank) => Step::Refuse(Refusal::Vanished),
        (Formatted, Foreign) => Step::Refuse(Refusal::Foreign),
        // A mount replays the log; what is beyond that is for fsck and a person.
        (Formatted, Wanted | Partial) => Step::Mount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formatted_volume_is_never_formatted_again() {
        for found in [
            Signature::Blank,
            Signature::Wanted,
            Signature::Partial,
            Signature::Foreign,
        ] {
            let step = next(FilesystemTag::Formatted, found);
            assert_ne!(step, Step::MakeFilesystem);
        }
    }

    #[test]
    fn what_was_there_before_us_is_never_overwritten() {
        let step = |found| next(FilesystemTag::Unformatted, found);
        assert_eq!(step(Signature::Foreign), Step::Refuse(Refusal::Foreign));
        assert_eq!(step(Signature::Wanted), Step::TagFormatted);
    }

    #[test]
    fn an_interrupted_attempt_is_finished() {
        for tag in [FilesystemTag::Unformatted, FilesystemTag::Formatting] {
            assert_eq!(next(tag, Signature::Partial), Step::MakeFilesystem);
            assert_eq!(next(tag, Signature::Wanted), Step::TagFormatted);
        }
    }
}
