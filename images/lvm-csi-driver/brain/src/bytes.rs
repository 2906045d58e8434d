//! Sizes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A number of bytes. Shown in the largest binary unit that divides it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

impl Bytes {
    /// No bytes.
    pub const ZERO: Self = Self(0);

    /// That many MiB.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// That many GiB.
    pub const fn gib(count: u64) -> Self {
        Self(count << 30)
    }

    /// The smallest multiple of `unit` that holds this many bytes.
    pub fn round_up(self, unit: Self) -> Self {
        match unit.0 {
            0 => self,
            unit => Self(self.0.div_ceil(unit).saturating_mul(unit)),
        }
    }

    /// The largest multiple of `unit` within this many bytes.
    pub fn round_down(self, unit: Self) -> Self {
        match unit.0 {
            0 => self,
            unit => Self(self.0 / unit * unit),
        }
    }

    /// The difference, or nothing.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The sum, at most what fits into 64 bits.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A size that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a size; write bytes or a binary unit, like 1073741824 or 1GiB")]
pub struct BytesError(String);

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let refuse = || BytesError(text.to_owned());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text[digits.len()..].trim_end_matches('B') {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return Err(refuse()),
        };
        let count: u64 = digits.trim_end().parse().map_err(|_| refuse())?;
        count.checked_mul(unit).map(Self).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_extents_both_ways() {
        let extent = Bytes::mib(4);
        assert_eq!(Bytes(1).round_up(extent), extent);
        assert_eq!(Bytes::mib(4).round_up(extent), extent);
        assert_eq!(
            Bytes(u64::from(u32::MAX)).round_down(extent),
            Bytes::mib(4092)
        );
    }

    #[test]
    fn reads_units_and_refuses_the_rest() {
        assert_eq!("10GiB".parse(), Ok(Bytes::gib(10)));
        assert_eq!("10Gi".parse(), Ok(Bytes::gib(10)));
        assert_eq!("512".parse(), Ok(Bytes(512)));
        for wrong in ["", "-1", "10GB", "1.5GiB", "99999999TiB", "GiB"] {
            assert!(wrong.parse::<Bytes>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn shows_the_largest_unit_that_divides() {
        assert_eq!(Bytes::gib(3).to_string(), "3 GiB");
        assert_eq!(Bytes::mib(1536).to_string(), "1536 MiB");
        assert_eq!(Bytes(1).to_string(), "1 bytes");
        assert_eq!(Bytes::ZERO.to_string(), "0 bytes");
    }
}
