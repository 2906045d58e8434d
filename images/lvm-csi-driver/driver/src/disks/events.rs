//! Hears of disks from udev, after it has looked at them.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// The group to which udev sends what the kernel said, with what it has found out.
const UDEV: u32 = 2;

/// What udev says.
pub(super) struct Events(Arc<Notify>);

impl Events {
    /// Listens from now on, in a thread of its own: there is nothing to wait for but the next message.
    pub(super) fn listen() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, UDEV))?;
        let heard = Arc::new(Notify::new());
        let tell = Arc::downgrade(&heard);
        std::thread::Builder::new()
            .name("disk-events".into())
            .spawn(move || follow(&socket, &tell))?;
        Ok(Self(heard))
    }

    /// Waits until a disk has come, gone or changed.
    pub(super) async fn next(&self) {
        self.0.notified().await;
    }
}

/// Listens for as long as somebody wants to know.
fn follow(socket: &OwnedFd, tell: &Weak<Notify>) {
    let mut message = vec![0; 16 << 10];
    loop {
        match recv(socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
            Ok(length) if !of_a_disk(&message[..length]) => continue,
            // What was lost because there was too much of it may have been of a disk.
            Ok(_) | Err(Errno::ENOBUFS) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => {
                eprintln!("disks: udev is not heard any more: {error}");
                return;
            }
        }
        match tell.upgrade() {
            Some(heard) => heard.notify_one(),
            None => return,
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
