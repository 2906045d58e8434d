//! Tells a device with nothing on it without a program: most that are looked at were made just now.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const MIB: u64 = 1 << 20;
/// Enough for a superblock and what belongs to it.
const BLOCK: u64 = 64 << 10;

/// Where blkid looks for signatures (util-linux, libblkid/src/superblocks): within the first and the
/// last MiB, but for second headers of LUKS2 and for VMFS, at powers of two up to 4 MiB.
const PLACES: [(SeekFrom, u64); 5] = [
    (SeekFrom::Start(0), MIB),
    (SeekFrom::Start(MIB), BLOCK),
    (SeekFrom::Start(2 * MIB), BLOCK),
    (SeekFrom::Start(4 * MIB), BLOCK),
    (SeekFrom::End(-(1 << 20)), MIB),
];

/// Whether nothing but zeros is where blkid looks. Says no of devices that are too small for all places.
///
/// # Errors
/// When they cannot be read.
pub(super) fn are_blank(device: &Path) -> io::Result<bool> {
    let mut file = File::open(device)?;
    for (from, length) in PLACES {
        file.seek(from)?;
        if !zeros((&file).take(length), length)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there is as much as that, and all of it zeros.
fn zeros(mut from: impl Read, length: u64) -> io::Result<bool> {
    let (mut part, none) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut seen = 0;
    loop {
        let read = from.read(&mut part)?;
        if read == 0 {
            return Ok(seen == length);
        }
        if part[..read] != none[..read] {
            return Ok(false);
        }
        seen += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn one_byte_where_signatures_are_is_content() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let blank = |size: u64, at: Option<u64>| {
            file.as_file().set_len(0).expect("emptied");
            file.as_file().set_len(size).expect("sized");
            if let Some(at) = at {
                file.as_file().write_all_at(&[1], at).expect("written");
            }
            are_blank(file.path())
        };
        let size = 32 * MIB;
        assert!(blank(size, None).expect("read"));
        let signatures = [0, 65_600, MIB - 1, MIB, 2 * MIB, 4 * MIB + 6];
        for at in signatures
            .into_iter()
            .chain([size - MIB, size - 512, size - 1])
        {
            assert!(!blank(size, Some(at)).expect("read"), "{at}");
        }
        // What is in the middle is the user's own, and no filesystem begins there.
        assert!(blank(size, Some(size / 2)).expect("read"));

        // A program has to look at these.
        assert!(!blank(4 * MIB, None).expect("read"));
        assert!(!blank(512, None).expect("read"));
        assert!(are_blank(Path::new("/nonexistent")).is_err());
    }
}
