//! Tells a device with nothing on it without a program: most that are looked at were made just now.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of each end is looked at. No signature that blkid knows lies farther from the nearer end;
/// that of VMFS comes closest, at 2 MiB (util-linux, libblkid/src/superblocks).
const REACH: u64 = 4 << 20;

/// Whether both ends hold nothing but zeros.
///
/// # Errors
/// When they cannot be read.
pub(super) fn are_blank(device: &Path) -> io::Result<bool> {
    let mut file = File::open(device)?;
    let size = file.seek(SeekFrom::End(0))?;
    for from in [0, size.saturating_sub(REACH)] {
        file.seek(SeekFrom::Start(from))?;
        if !zeros((&file).take(REACH))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn zeros(mut from: impl Read) -> io::Result<bool> {
    let mut part = vec![0; 1 << 18];
    loop {
        match from.read(&mut part)? {
            0 => return Ok(true),
            read if part[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn one_byte_at_either_end_is_content() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let blank = |size: u64, at: Option<u64>| {
            file.as_file().set_len(0).expect("emptied");
            file.as_file().set_len(size).expect("sized");
            if let Some(at) = at {
                file.as_file().write_all_at(&[1], at).expect("written");
            }
            are_blank(file.path()).expect("read")
        };
        for size in [0, 512, REACH, 3 * REACH, (16 << 20) + 512] {
            assert!(blank(size, None), "{size}");
        }
        let size = 32 << 20;
        for at in [
            0,
            65_600,
            2 << 20,
            REACH - 1,
            size - REACH,
            size - 512,
            size - 1,
        ] {
            assert!(!blank(size, Some(at)), "{at}");
        }
        // What is in the middle is the user's own, and no filesystem begins there.
        assert!(blank(size, Some(size / 2)));
        assert!(are_blank(Path::new("/nonexistent")).is_err());
    }
}
