//! Hears of disks from udev, after it has looked at them.

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The group to which udev sends what the kernel said, with what it has found out.
const UDEV: u32 = 2;

/// What udev says.
pub(super) struct Events(AsyncFd<OwnedFd>);

impl Events {
    /// Listens from now on.
    pub(super) fn listen() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, UDEV))?;
        AsyncFd::with_interest(fd, Interest::READABLE).map(Self)
    }

    /// Waits until a disk has come, gone or changed.
    pub(super) async fn next(&self) {
        let mut message = vec![0; 16 << 10];
        loop {
            let heard = self
                .0
                .async_io(Interest::READABLE, |fd| {
                    recv(fd.as_raw_fd(), &mut message, MsgFlags::empty()).map_err(io::Error::from)
                })
                .await;
            match heard {
                Ok(length) if !of_a_disk(&message[..length]) => {}
                // What was lost because there was too much of it may have been of a disk.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Whether a message is of a disk that is there: volumes of LVM come and go all the time.
fn of_a_disk(message: &[u8]) -> bool {
    let says = |text: &str| {
        message
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    says("\0SUBSYSTEM=block\0") && !says("\0DEVPATH=/devices/virtual/block/")
}

#[cfg(test)]
mod tests {
    use super::of_a_disk;

    #[test]
    fn volumes_are_no_disks() {
        let disk = b"libudev\0\0ACTION=add\0DEVPATH=/devices/pci/block/sdb\0SUBSYSTEM=block\0";
        let volume =
            b"libudev\0\0ACTION=add\0DEVPATH=/devices/virtual/block/dm-1\0SUBSYSTEM=block\0";
        let network = b"libudev\0\0ACTION=add\0DEVPATH=/devices/pci/net/eth0\0SUBSYSTEM=net\0";
        assert!(of_a_disk(disk) && !of_a_disk(volume) && !of_a_disk(network));
    }
}
