//! Asks the kernel about nftables and deletes tables, over netlink: hosts need not have the nft program.
//!
//! The messages are those of linux/netfilter/nfnetlink.h and nf_tables.h: a netlink header, the
//! nfnetlink header, and for a deletion one attribute in a batch.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use std::os::fd::{AsRawFd, OwnedFd};

/// The family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 (NFPROTO_IPV4).
    Ip = 2,
    /// IPv6 (NFPROTO_IPV6).
    Ip6 = 10,
}

const SUBSYSTEM: u16 = 10; // NFNL_SUBSYS_NFTABLES
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2; // NFT_MSG_DELTABLE
const GET_GENERATION: u16 = SUBSYSTEM << 8 | 16; // NFT_MSG_GETGEN
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const ERROR: u16 = 2; // NLMSG_ERROR
const REQUEST: u16 = 1; // NLM_F_REQUEST
const ACKNOWLEDGE: u16 = 4; // NLM_F_ACK
const TABLE_NAME: u16 = 1; // NFTA_TABLE_NAME

fn message(kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(20 + attributes.len()).unwrap_or(20);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend([0; 8]); // sequence number, port
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

fn name_attribute(name: &str) -> Vec<u8> {
    let length = u16::try_from(4 + name.len() + 1).unwrap_or(4);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(TABLE_NAME.to_ne_bytes());
    bytes.extend(name.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn open() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket(
        AddressFamily::Netlink,
        SockType::Raw,
        flags,
        SockProtocol::NetlinkNetFilter,
    )
}

/// Sends and returns the first answer's type and error code.
fn ask(bytes: &[u8]) -> Result<(u16, i32), Errno> {
    let socket = open()?;
    sendto(
        socket.as_raw_fd(),
        bytes,
        &NetlinkAddr::new(0, 0),
        MsgFlags::empty(),
    )?;
    let mut answer = [0; 4096];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    if length < 20 {
        return Err(Errno::EPROTO);
    }
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    Ok((kind, code))
}

/// Whether the kernel has nftables.
pub fn supported() -> bool {
    matches!(ask(&message(GET_GENERATION, 0, 0, 0, &[])), Ok((kind, _)) if kind != ERROR)
}

/// Deletes a table with all it holds; one that is not there is fine.
///
/// # Errors
/// When the kernel refuses.
pub fn delete_table(family: Family, name: &str) -> Result<(), Errno> {
    let mut batch = message(BATCH_BEGIN, 0, 0, SUBSYSTEM, &[]);
    batch.extend(message(
        DELETE_TABLE,
        ACKNOWLEDGE,
        family as u8,
        0,
        &name_attribute(name),
    ));
    batch.extend(message(BATCH_END, 0, 0, SUBSYSTEM, &[]));
    match ask(&batch) {
        Ok((ERROR, 0)) => Ok(()),
        Ok((ERROR, code)) => match Errno::from_raw(-code) {
            // Not there, or a kernel without nftables, where no table can be.
            Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EINVAL => Ok(()),
            error => Err(error),
        },
        Ok(_) => Err(Errno::EPROTO),
        Err(Errno::EPROTONOSUPPORT) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_is_laid_out_as_the_kernel_wants_it() {
        let attribute = name_attribute("kube-proxy");
        assert_eq!(attribute.len() % 4, 0);
        assert_eq!(attribute[..4], [15, 0, 1, 0]);
        let bytes = message(DELETE_TABLE, ACKNOWLEDGE, Family::Ip as u8, 0, &attribute);
        assert_eq!(usize::from(bytes[0]), bytes.len());
        assert_eq!(bytes[4..8], [2, 10, 5, 0]);
    }
}
