//! The disks of a bare host: an empty layer over the base, an identity, and the driver's key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::HostError;
use crate::program;
use crate::ssh_keys;
use crate::state::{self, HostDir, HostRecord, StateError};

/// Where sshd finds its key, below the root.
pub(super) const HOST_KEY: &str = "etc/ssh/ssh_host_ed25519_key";

/// Makes the disks of a bare host and returns its public host key. Whatever was there is removed.
pub(crate) fn install(
    dir: &HostDir,
    record: &HostRecord,
    key: Option<(String, String)>,
) -> Result<String, HostError> {
    let state = |source| HostError::State {
        host: dir.name().clone(),
        source,
    };
    let key_error = |source| HostError::Key {
        host: dir.name().clone(),
        source,
    };
    for layer in [dir.upper(), dir.work(), dir.var_lib()] {
        state::remove_tree(&layer).map_err(state)?;
    }
    for layer in [dir.work(), dir.merged(), dir.upper().join("etc/ssh")] {
        state::create_dir(&layer).map_err(state)?;
    }
    let mut copy = Command::new("cp");
    copy.arg("-a")
        .arg(record.base.join("var/lib"))
        .arg(dir.var_lib());
    program::run(&mut copy).map_err(|source| HostError::Program {
        host: dir.name().clone(),
        source,
    })?;

    let name = dir.name().as_str();
    let etc = dir.upper().join("etc");
    let files = [
        ("hostname", format!("{name}\n")),
        (
            "hosts",
            format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost\n"),
        ),
        ("machine-id", format!("{}\n", random_id().map_err(state)?)),
    ];
    for (file, content) in files {
        state::write_file(&etc.join(file), &content).map_err(state)?;
    }

    let path = dir.upper().join(HOST_KEY);
    let public = match key {
        None => ssh_keys::generate(&path).map_err(key_error)?,
        Some((private, public)) => {
            state::write_file(&path, &private).map_err(state)?;
            set_mode(&path, 0o600).map_err(state)?;
            state::write_file(&path.with_extension("pub"), &public).map_err(state)?;
            ssh_keys::public_line(&path).map_err(key_error)?
        }
    };
    let driver = dir.lab().driver().join("id_ed25519");
    let authorized = format!("{}\n", ssh_keys::public_line(&driver).map_err(key_error)?);
    for home in ["root", "home/admin", "home/deploy"] {
        authorize(dir, record, home, &authorized).map_err(state)?;
    }
    Ok(public)
}

/// Puts the driver's key into a user's home, if the base has that user.
fn authorize(dir: &HostDir, record: &HostRecord, home: &str, keys: &str) -> Result<(), StateError> {
    use std::os::unix::fs::{MetadataExt, chown};
    let Ok(base) = fs::metadata(record.base.join(home)) else {
        return Ok(());
    };
    let home = dir.upper().join(home);
    let ssh = home.join(".ssh");
    let file = ssh.join("authorized_keys");
    state::create_dir(&ssh)?;
    state::write_file(&file, keys)?;
    for (path, mode) in [(&home, base.mode() & 0o7777), (&ssh, 0o700), (&file, 0o600)] {
        set_mode(path, mode)?;
        let owner = (Some(base.uid()), Some(base.gid()));
        chown(path, owner.0, owner.1).map_err(|e| state::access("give away", path, e))?;
    }
    Ok(())
}

fn set_mode(path: &std::path::Path, mode: u32) -> Result<(), StateError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|e| state::access("set the mode of", path, e))
}

/// 32 hexadecimal digits, as machine-id(5) wants them.
pub(crate) fn random_id() -> Result<String, StateError> {
    let path = std::path::Path::new("/proc/sys/kernel/random/uuid");
    let text = fs::read_to_string(path).map_err(|e| state::access("read", path, e))?;
    Ok(text.trim().replace('-', ""))
}
