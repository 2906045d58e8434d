//! What makes one guest different from another on its root disk: names, keys, addresses.
//!
//! The disk is not mounted to write them. They travel as an extra archive behind the initrd (the
//! kernel unpacks any number of archives), and a script in the initrd unpacks them onto the root
//! before systemd starts, on the first boot only: later the root disk has them, as a machine's has.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::error::GuestError;
use crate::host::random_id;
use crate::name::Name;
use crate::network::PREFIX_LEN;
use crate::program;
use crate::ssh_keys;
use crate::state;

/// A network card and its static address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) mac: String,
    pub(super) address: IpAddr,
}

/// Writes `initrd` (the image's plus the identity) into `dir`; returns the public SSH host key.
/// `client_key` is the public line of the key that may log in as root.
pub(super) fn write(
    dir: &Path,
    name: &Name,
    cards: &[Card],
    client_key: &str,
    image_initrd: &Path,
) -> Result<String, GuestError> {
    let state = |source| GuestError::state(name, source);
    let program = |source| GuestError::program(name, source);
    let tree = dir.join("identity");
    let etc = tree.join("etc");
    for parent in [
        etc.join("ssh"),
        etc.join("systemd/network"),
        tree.join("root/.ssh"),
    ] {
        state::create_dir(&parent).map_err(state)?;
    }
    let host_key = ssh_keys::generate(&etc.join("ssh/ssh_host_ed25519_key"))
        .map_err(|source| GuestError::key(name, source))?;
    let mut files = vec![
        (etc.join("hostname"), format!("{name}\n")),
        (
            etc.join("hosts"),
            format!("127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost\n"),
        ),
        (
            etc.join("machine-id"),
            format!("{}\n", random_id().map_err(state)?),
        ),
        (
            tree.join("root/.ssh/authorized_keys"),
            format!("{client_key}\n"),
        ),
    ];
    for (number, card) in cards.iter().enumerate() {
        let file = etc.join(format!("systemd/network/10-eth{number}.network"));
        files.push((file, network_file(card)));
    }
    for (path, content) in files {
        state::write_file(&path, &content).map_err(state)?;
    }
    for private in ["root", "root/.ssh"] {
        let path = tree.join(private);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(|e| state(state::access("set the mode of", &path, e)))?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&tree);
    // Not ".", whose mode would become that of the guest's root directory.
    tar.args([
        "--owner=0",
        "--group=0",
        "--sort=name",
        "-c",
        "-f",
        "-",
        "etc",
        "root",
    ]);
    let archive = program::run(&mut tar).map_err(program)?.stdout;
    let mut initrd =
        fs::read(image_initrd).map_err(|e| state(state::access("read", image_initrd, e)))?;
    // The kernel expects each archive to begin at a multiple of four.
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    initrd.extend(newc(&[("identity.tar", &archive)]));
    let path = dir.join("initrd");
    fs::write(&path, initrd).map_err(|e| state(state::access("write", &path, e)))?;
    state::remove_tree(&tree).map_err(state)?;
    Ok(host_key)
}

/// systemd.network(5): a static address and nothing that would wait for an answer of others.
fn network_file(card: &Card) -> String {
    format!(
        "[Match]\nMACAddress={}\n\n[Network]\nAddress={}/{PREFIX_LEN}\n\
         LinkLocalAddressing=no\nIPv6AcceptRA=no\n",
        card.mac, card.address
    )
}

/// An archive of plain files in the form the kernel unpacks
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
fn newc(files: &[(&str, &[u8])]) -> Vec<u8> {
    const FILE: u32 = 0o100_600;
    let mut archive = Vec::new();
    let members = files.iter().map(|(name, content)| (*name, FILE, *content));
    for (number, (name, mode, content)) in members.chain([("TRAILER!!!", 0, &[][..])]).enumerate() {
        let (inode, links) = (number as u32 + 1, 1);
        let (size, name_size) = (content.len() as u32, name.len() as u32 + 1);
        archive.extend(b"070701");
        for field in [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0] {
            archive.extend(format!("{field:08X}").bytes());
        }
        archive.extend(name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_the_kernels_form() {
        let archive = newc(&[("a", b"hello")]);
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8(archive).unwrap();
        assert_eq!(
            text,
            format!(
                "070701{}{}{}a\0hello\0\0\0070701{}{}{}TRAILER!!!\0\0\0\0",
                "00000001000081800000000000000000",
                "0000000100000000000000050000000000000000",
                "00000000000000000000000200000000",
                "00000002000000000000000000000000",
                "0000000100000000000000000000000000000000",
                "00000000000000000000000B00000000",
            )
        );
    }

    #[test]
    fn an_address_is_static_and_belongs_to_one_card() {
        let card = Card {
            mac: "02:49:4e:47:00:01".into(),
            address: "10.77.0.11".parse().unwrap(),
        };
        assert_eq!(
            network_file(&card),
            "[Match]\nMACAddress=02:49:4e:47:00:01\n\n[Network]\nAddress=10.77.0.11/24\n\
             LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
        );
    }
}
