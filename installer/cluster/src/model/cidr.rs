//! Ranges of addresses.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A range of addresses in CIDR notation (RFC 4632, RFC 4291), without host bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// A text that is not a range of addresses.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CidrError {
    /// Not `<address>/<prefix>`.
    #[error("`{0}` is not a CIDR; write an address and a prefix length, such as 10.233.0.0/16")]
    Syntax(String),
    /// Bits after the prefix are set.
    #[error("`{found}` has bits set after its prefix; did you mean {meant}?")]
    HostBits {
        /// As written.
        found: String,
        /// With the bits cleared.
        meant: String,
    },
}

impl Cidr {
    fn bits(address: IpAddr) -> (u128, u8) {
        match address {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        }
    }

    fn mask(prefix: u8) -> u128 {
        if prefix == 0 {
            0
        } else {
            u128::MAX << (128 - u32::from(prefix))
        }
    }

    /// Reads `<address>/<prefix>`.
    ///
    /// # Errors
    /// [`CidrError`].
    pub fn parse(text: &str) -> Result<Self, CidrError> {
        let syntax = || CidrError::Syntax(text.into());
        let (address, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let address: IpAddr = address.parse().map_err(|_| syntax())?;
        let prefix: u8 = prefix.parse().map_err(|_| syntax())?;
        let (bits, width) = Self::bits(address);
        if prefix > width {
            return Err(syntax());
        }
        let cleared = bits & Self::mask(prefix);
        if cleared != bits {
            let meant = Self {
                address: Self::address_of(cleared, width),
                prefix,
            };
            return Err(CidrError::HostBits {
                found: text.into(),
                meant: meant.to_string(),
            });
        }
        Ok(Self { address, prefix })
    }

    fn address_of(bits: u128, width: u8) -> IpAddr {
        match width {
            32 => IpAddr::V4(((bits >> 96) as u32).into()),
            _ => IpAddr::V6(bits.into()),
        }
    }

    /// The prefix length.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether it is a range of IPv4 addresses.
    pub fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, width), (other, other_width)) = (Self::bits(self.address), Self::bits(address));
        width == other_width && (own ^ other) & Self::mask(self.prefix) == 0
    }

    /// Whether the ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The `index`-th address, counted from the network address; `None` past the end.
    pub fn nth(&self, index: u32) -> Option<IpAddr> {
        let (bits, width) = Self::bits(self.address);
        let step = if width == 32 {
            u128::from(index) << 96
        } else {
            u128::from(index)
        };
        let address = Self::address_of(bits.checked_add(step)?, width);
        self.contains(address).then_some(address)
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;

    fn try_from(text: String) -> Result<Self, CidrError> {
        Self::parse(&text)
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> Self {
        cidr.to_string()
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_overlap_and_count() {
        let cidr = Cidr::parse("10.96.0.0/16").unwrap();
        assert_eq!(cidr.nth(10), Some("10.96.0.10".parse().unwrap()));
        assert_eq!(cidr.nth(70000), None);
        assert!(cidr.overlaps(&Cidr::parse("10.0.0.0/8").unwrap()));
        assert!(!cidr.overlaps(&Cidr::parse("10.97.0.0/16").unwrap()));
        assert!(!cidr.overlaps(&Cidr::parse("fd00::/64").unwrap()));
        assert_eq!(
            Cidr::parse("fd00::/64").unwrap().nth(1),
            Some("fd00::1".parse().unwrap())
        );
        assert_eq!(
            Cidr::parse("10.1.2.3/16").unwrap_err().to_string(),
            "`10.1.2.3/16` has bits set after its prefix; did you mean 10.1.0.0/16?"
        );
        assert!(Cidr::parse("10.0.0.0/33").is_err());
    }
}
