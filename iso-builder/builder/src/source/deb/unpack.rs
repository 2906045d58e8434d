//! Unpacks package files into a layer (deb(5)). No package script is run.

use super::{DebError, Package};
use crate::layer::{Entry, Tree};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Adds the content of a package file to a layer. Regular files are laid into `scratch`.
///
/// # Errors
/// When the file is no Debian package or the disk is full.
pub fn unpack(
    package: &Package,
    file: &Path,
    scratch: &Path,
    tree: &mut Tree,
) -> Result<(), DebError> {
    let failed = |source| DebError::Unpack {
        package: package.name.clone(),
        source,
    };
    let bytes = fs::read(file).map_err(failed)?;
    let data = data_member(&bytes).map_err(failed)?;
    let place = scratch.join(&package.name);
    fs::create_dir_all(&place).map_err(failed)?;
    unpack_data(data, &place, tree).map_err(failed)
}

/// Finds the member `data.tar*` of an ar archive (deb(5), section "Format").
fn data_member(bytes: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    let refuse = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut rest = bytes
        .strip_prefix(b"!<arch>\n")
        .ok_or_else(|| refuse("it is no ar archive"))?;
    while rest.len() >= 60 {
        let (header, body) = rest.split_at(60);
        let text = |range: std::ops::Range<usize>| {
            String::from_utf8_lossy(&header[range])
                .trim_end()
                .to_owned()
        };
        let name = text(0..16);
        let size: usize = text(48..58)
            .parse()
            .map_err(|_| refuse("a member has no readable size"))?;
        let content = body
            .get(..size)
            .ok_or_else(|| refuse("a member is cut off"))?;
        match name.trim_end_matches('/') {
            "data.tar" => return Ok(Box::new(content)),
            "data.tar.xz" => return Ok(Box::new(liblzma::read::XzDecoder::new(content))),
            "data.tar.zst" => return Ok(Box::new(zstd::Decoder::new(content)?)),
            other if other.starts_with("data.tar") => {
                return Err(refuse(&format!("{other} is compressed in an unknown way")));
            }
            _ => {}
        }
        // Members begin at even offsets.
        rest = body.get(size + size % 2..).unwrap_or_default();
    }
    Err(refuse("it has no data.tar"))
}

fn unpack_data(data: Box<dyn Read + '_>, place: &Path, tree: &mut Tree) -> io::Result<()> {
    let mut archive = tar::Archive::new(data);
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = merged_path(path.trim_start_matches("./").trim_end_matches('/'));
        if path.is_empty() || left_out(&path) {
            continue;
        }
        let mode = entry.header().mode()?;
        let link = entry
            .link_name()?
            .map(|target| target.to_string_lossy().into_owned());
        let kind = entry.header().entry_type();
        let content = match (kind, link) {
            (tar::EntryType::Directory, _) => Entry::Directory(mode),
            (tar::EntryType::Symlink, Some(target)) => Entry::Symlink(target),
            (tar::EntryType::Link, Some(target)) => {
                // A second copy: layers keep no hard links, whose order would matter.
                let target = merged_path(target.trim_start_matches("./"));
                tree.get(&target).cloned().ok_or_else(|| {
                    io::Error::other(format!("`{path}` links to `{target}`, which is not there"))
                })?
            }
            (tar::EntryType::Regular, _) => {
                let file = place.join(number.to_string());
                io::copy(&mut entry, &mut fs::File::create(&file)?)?;
                Entry::File(file, mode)
            }
            _ => {
                return Err(io::Error::other(format!(
                    "`{path}` is a device or the like"
                )));
            }
        };
        tree.insert(path, content);
    }
    Ok(())
}

/// Directories that Debian 12 has merged into /usr; packages still carry the old names
/// (wiki.debian.org/UsrMerge).
pub const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

fn merged_path(path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

/// What a container never reads. Copyright files stay: licences ask for them.
fn left_out(path: &str) -> bool {
    let whole = [
        "usr/share/man",
        "usr/share/locale",
        "usr/share/lintian",
        "usr/share/bug",
        "usr/share/info",
        "usr/share/doc-base",
        "usr/lib/x86_64-linux-gnu/gconv",
        "usr/share/bash-completion",
        "usr/lib/systemd",
        "etc/init.d",
    ];
    let below = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let merged = MERGED.iter().any(|folder| path == format!("usr/{folder}"));
    if merged || whole.into_iter().any(below) {
        return true;
    }
    path.strip_prefix("usr/share/doc/")
        .is_some_and(|rest| rest.contains('/') && !rest.ends_with("/copyright"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    /// A package file as dpkg-deb lays it out (deb(5)), with the given archive member.
    fn package(member: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, content) in [
            ("debian-binary", &b"2.0\n"[..]),
            ("control.tar", b"odd"),
            (member, data),
        ] {
            let length = content.len();
            bytes.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n",
                    0, 0, 0, 100644
                )
                .bytes(),
            );
            bytes.extend(content);
            if length % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn archive() -> io::Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind, link: Option<&str>, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            match link {
                Some(link) => builder.append_link(&mut header, path, link),
                None => builder.append_data(&mut header, path, content),
            }
        };
        use tar::EntryType as Is;
        add("./bin/", Is::Directory, None, b"")?;
        add("./bin/tool", Is::Regular, None, b"program")?;
        add("./bin/twin", Is::Link, Some("./bin/tool"), b"")?;
        add("./usr/lib/libx.so.1", Is::Symlink, Some("libx.so.1.2"), b"")?;
        add("./usr/share/man/man1/tool.1", Is::Regular, None, b"manual")?;
        add(
            "./usr/share/doc/tool/changelog",
            Is::Regular,
            None,
            b"changes",
        )?;
        add(
            "./usr/share/doc/tool/copyright",
            Is::Regular,
            None,
            b"licence",
        )?;
        builder.into_inner()
    }

    fn unpacked(bytes: &[u8]) -> Result<Tree, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("tool.deb");
        fs::write(&file, bytes)?;
        let named = Package {
            name: "tool".to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            sha256: String::new(),
        };
        let mut tree = Tree::new();
        unpack(&named, &file, folder.path(), &mut tree)?;
        Ok(tree)
    }

    #[test]
    fn packages_unpack_merged_and_without_what_containers_never_read() -> Outcome {
        let plain = archive()?;
        let zstd = zstd::encode_all(plain.as_slice(), 1)?;
        let mut xz = Vec::new();
        liblzma::read::XzEncoder::new(plain.as_slice(), 1).read_to_end(&mut xz)?;
        for (member, data) in [
            ("data.tar", plain),
            ("data.tar.zst", zstd),
            ("data.tar.xz", xz),
        ] {
            let tree = unpacked(&package(member, &data))?;
            let paths: Vec<&str> = tree.keys().map(String::as_str).collect();
            assert_eq!(
                paths,
                [
                    "usr/bin/tool",
                    "usr/bin/twin",
                    "usr/lib/libx.so.1",
                    "usr/share/doc/tool/copyright"
                ]
            );
        }
        Ok(())
    }

    #[test]
    fn files_that_are_no_packages_are_refused() -> Outcome {
        let words = |bytes: &[u8]| match unpacked(bytes) {
            Ok(_) => "accepted".to_owned(),
            Err(error) => error.source().map(ToString::to_string).unwrap_or_default(),
        };
        assert_eq!(words(b"hello"), "it is no ar archive");
        let good = package("data.tar", &archive()?);
        assert_eq!(words(&good[..100]), "it has no data.tar");
        assert_eq!(words(&good[..good.len() - 2000]), "a member is cut off");
        assert_eq!(
            words(&package("data.tar.lzma", b"x")),
            "data.tar.lzma is compressed in an unknown way"
        );
        Ok(())
    }
}
