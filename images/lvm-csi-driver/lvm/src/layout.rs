//! How the extents of a volume lie on the disks.

use ingot_volume_brain::{Bytes, LvName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The layouts that are offered; each number is checked when it comes in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Layout {
    /// One disk after the other.
    Linear,
    /// Spread over so many disks.
    Striped {
        /// Number of disks.
        stripes: u32,
    },
    /// So many copies on as many disks.
    Raid1 {
        /// Number of copies.
        copies: u32,
        /// With a checksum beside the data of each image.
        #[serde(default, skip_serializing_if = "unset")]
        integrity: bool,
    },
    /// Spread over so many disks and one more for parity.
    Raid5 {
        /// Number of disks without parity.
        stripes: u32,
        /// With a checksum beside the data of each image.
        #[serde(default, skip_serializing_if = "unset")]
        integrity: bool,
    },
    /// Two copies, each spread over so many disks.
    Raid10 {
        /// Number of disks of one copy.
        stripes: u32,
        /// With a checksum beside the data of each image.
        #[serde(default, skip_serializing_if = "unset")]
        integrity: bool,
    },
    /// Space is taken from a thin pool when it is written to.
    Thin {
        /// The pool.
        pool: LvName,
    },
}

/// Objects that are older than the field are written as they were.
#[allow(clippy::trivially_copy_pass_by_ref)] // As serde wants it.
fn unset(flag: &bool) -> bool {
    !flag
}

/// A layout that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{layout} with {given} disks is not possible; use {least} to {most}")]
pub struct LayoutError {
    layout: &'static str,
    given: u32,
    least: u32,
    most: u32,
}

fn within(layout: &'static str, given: u32, least: u32, most: u32) -> Result<u32, LayoutError> {
    match given {
        given if (least..=most).contains(&given) => Ok(given),
        given => Err(LayoutError {
            layout,
            given,
            least,
            most,
        }),
    }
}

impl Layout {
    /// Data spread over disks.
    pub fn striped(stripes: u32) -> Result<Self, LayoutError> {
        within("a striped layout", stripes, 2, 64).map(|stripes| Self::Striped { stripes })
    }

    /// Whole copies.
    pub fn raid1(copies: u32) -> Result<Self, LayoutError> {
        within("raid1", copies, 2, 10).map(|copies| Self::Raid1 {
            copies,
            integrity: false,
        })
    }

    /// Data spread over disks, with parity.
    pub fn raid5(stripes: u32) -> Result<Self, LayoutError> {
        within("raid5 (without its parity)", stripes, 2, 63).map(|stripes| Self::Raid5 {
            stripes,
            integrity: false,
        })
    }

    /// Two spread copies.
    pub fn raid10(stripes: u32) -> Result<Self, LayoutError> {
        within("one copy of raid10", stripes, 2, 32).map(|stripes| Self::Raid10 {
            stripes,
            integrity: false,
        })
    }

    /// The same with a checksum beside the data of each image, if it has a second source to read from
    /// where one does not fit.
    pub fn with_integrity(mut self) -> Option<Self> {
        match &mut self {
            Self::Raid1 { integrity, .. }
            | Self::Raid5 { integrity, .. }
            | Self::Raid10 { integrity, .. } => *integrity = true,
            Self::Linear | Self::Striped { .. } | Self::Thin { .. } => return None,
        }
        Some(self)
    }

    /// The same without checksums, as LVM makes it first.
    pub(crate) fn without_integrity(mut self) -> Self {
        if let Self::Raid1 { integrity, .. }
        | Self::Raid5 { integrity, .. }
        | Self::Raid10 { integrity, .. } = &mut self
        {
            *integrity = false;
        }
        self
    }

    /// Whether a checksum lies beside the data of each image.
    pub fn integrity(&self) -> bool {
        match self {
            Self::Raid1 { integrity, .. }
            | Self::Raid5 { integrity, .. }
            | Self::Raid10 { integrity, .. } => *integrity,
            Self::Linear | Self::Striped { .. } | Self::Thin { .. } => false,
        }
    }

    /// Over how many disks consecutive data is spread.
    pub fn data_stripes(&self) -> u32 {
        match self {
            Self::Linear | Self::Raid1 { .. } | Self::Thin { .. } => 1,
            Self::Striped { stripes }
            | Self::Raid5 { stripes, .. }
            | Self::Raid10 { stripes, .. } => *stripes,
        }
    }

    /// How many disks one volume needs.
    pub fn disks(&self) -> u32 {
        match self {
            Self::Linear | Self::Thin { .. } => 1,
            Self::Striped { stripes } => *stripes,
            Self::Raid1 { copies, .. } => *copies,
            Self::Raid5 { stripes, .. } => stripes + 1,
            Self::Raid10 { stripes, .. } => stripes * 2,
        }
    }

    /// Whether it survives the loss of a disk.
    pub fn redundant(&self) -> bool {
        matches!(
            self,
            Self::Raid1 { .. } | Self::Raid5 { .. } | Self::Raid10 { .. }
        )
    }

    /// Whether everything is still there when those images are not, counted from 0.
    pub fn survives(&self, lost: &[u32]) -> bool {
        match self {
            Self::Linear | Self::Striped { .. } | Self::Thin { .. } => lost.is_empty(),
            Self::Raid1 { copies, .. } => lost.len() < *copies as usize,
            Self::Raid5 { .. } => lost.len() <= 1,
            // Two that are beside each other are copies of one another.
            Self::Raid10 { .. } => !lost
                .iter()
                .any(|image| image % 2 == 0 && lost.contains(&(image + 1))),
        }
    }

    /// The size LVM gives when asked for `size`: whole extents on each disk.
    pub fn round_up(&self, size: Bytes, extent: Bytes) -> Bytes {
        size.round_up(self.unit(extent))
    }

    /// The largest size LVM gives exactly, within `size`.
    pub fn round_down(&self, size: Bytes, extent: Bytes) -> Bytes {
        size.round_down(self.unit(extent))
    }

    fn unit(&self, extent: Bytes) -> Bytes {
        Bytes(extent.0 * u64::from(self.data_stripes()))
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear => f.write_str("linear"),
            Self::Striped { stripes } => write!(f, "striped over {stripes}"),
            Self::Raid1 { copies, .. } => write!(f, "raid1 with {copies} copies"),
            Self::Raid5 { stripes, .. } => write!(f, "raid5 over {stripes}+1"),
            Self::Raid10 { stripes, .. } => write!(f, "raid10 over 2x{stripes}"),
            Self::Thin { pool } => write!(f, "thin in {pool}"),
        }?;
        match self.integrity() {
            true => f.write_str(", with integrity"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_round_to_whole_extents_on_each_disk() {
        let layout = Layout::striped(3).expect("three");
        let extent = Bytes::mib(4);
        assert_eq!(layout.round_up(Bytes(1), extent), Bytes::mib(12));
        assert_eq!(layout.round_down(Bytes::mib(35), extent), Bytes::mib(24));
    }

    #[test]
    fn redundant_layouts_survive_what_their_copies_or_parity_cover() {
        let raid1 = Layout::raid1(3).expect("three");
        assert!(raid1.survives(&[0, 2]) && !raid1.survives(&[0, 1, 2]));
        let raid5 = Layout::raid5(2).expect("two");
        assert!(raid5.survives(&[2]) && !raid5.survives(&[0, 2]));
        let raid10 = Layout::raid10(2).expect("two");
        assert!(raid10.survives(&[0, 3]) && raid10.survives(&[1, 2]));
        assert!(!raid10.survives(&[0, 1]) && !raid10.survives(&[1, 2, 3]));
        let striped = Layout::striped(2).expect("two");
        assert!(striped.survives(&[]) && !striped.survives(&[1]));
    }

    #[test]
    fn integrity_is_written_down_only_where_it_is_wanted_and_goes_with_redundancy() {
        let plain = Layout::raid1(2).expect("two");
        let old = r#"{"type":"raid1","copies":2}"#;
        assert_eq!(serde_json::to_string(&plain).expect("text"), old);
        assert_eq!(serde_json::from_str::<Layout>(old).expect("read"), plain);
        let safe = plain.with_integrity().expect("redundant");
        let text = serde_json::to_string(&safe).expect("text");
        assert_eq!(text, r#"{"type":"raid1","copies":2,"integrity":true}"#);
        assert_eq!(serde_json::from_str::<Layout>(&text).expect("read"), safe);
        assert_eq!(safe.to_string(), "raid1 with 2 copies, with integrity");
        assert!(safe.integrity() && safe.redundant() && safe.survives(&[1]));
        assert_eq!(Layout::Linear.with_integrity(), None);
        assert_eq!(Layout::striped(2).expect("two").with_integrity(), None);
    }

    #[test]
    fn layouts_that_do_not_exist_are_refused_with_what_does() {
        let error = Layout::raid1(1).expect_err("one copy");
        assert_eq!(
            error.to_string(),
            "raid1 with 1 disks is not possible; use 2 to 10"
        );
        assert!(Layout::striped(65).is_err() && Layout::raid5(1).is_err());
    }
}
