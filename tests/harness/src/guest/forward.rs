//! Sockets of a guest, made reachable on the machine.

use std::path::Path;

use super::{Guest, GuestError, session};
use crate::program;

impl Guest {
    /// Makes the Unix socket `socket` of the guest answer at `here`, a path on the machine of at most
    /// 107 bytes, which must not be a socket in use. Whoever connects while nobody listens in the
    /// guest is hung up on. It lasts as long as the guest has power.
    pub fn forward(&self, socket: &str, here: &Path) -> Result<(), GuestError> {
        let ssh = self.ssh_address()?;
        self.ensure_session(self.spec.deadline)?;
        // A path from before a power cut is in the way of the new one.
        let _ = std::fs::remove_file(here);
        let mut command = session::forward(&self.dir, &self.wire, ssh, socket, here)?;
        program::run(&mut command)
            .map(drop)
            .map_err(|source| GuestError::program(self.dir.name(), source))
    }
}
