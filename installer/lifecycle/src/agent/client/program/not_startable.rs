//! Why a program that is on a host does not start there: the mount forbids it, the processor is another one,
//! or something on the host does not let it. It looks, and changes nothing.

use crate::error::Failure;
use ingot_transport::{Exit, Host, TransportError, quote, run};

/// What a trial of the program at `path` of the host failed for.
///
/// # Errors
/// When the host cannot be asked.
pub(super) async fn why(
    host: &dyn Host,
    path: &str,
    exit: &Exit,
) -> Result<Failure, TransportError> {
    let look = format!(
        "uname -m; readlink -f {} || echo {}; cat /proc/self/mountinfo",
        quote(path),
        quote(path)
    );
    let seen = run(host, &look, b"").await?;
    let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
    Ok(Failure::machine(explain(
        &host.address(),
        path,
        exit,
        &seen,
    )))
}

/// From what was seen: the processor, the path without links, the mounts.
fn explain(address: &str, path: &str, exit: &Exit, seen: &str) -> String {
    let mut lines = seen.lines();
    let processor = lines.next().unwrap_or_default().trim();
    let real = lines.next().unwrap_or(path).trim();
    let mount = lines.filter_map(Mount::of).fold(None, |best, mount| {
        // Of two mounts at one place the later one covers the other.
        let deeper = best
            .as_ref()
            .is_none_or(|best: &Mount| mount.depth() >= best.depth());
        if mount.holds(real) && deeper {
            Some(mount)
        } else {
            best
        }
    });
    let words = exit.stderr.trim().lines().last().unwrap_or_default();
    let status = match exit.status {
        Some(status) => format!("status {status}"),
        None => "a signal".into(),
    };
    let said = format!("{words} ({status})");
    let cannot = format!("the program {path} cannot be started on {address}");
    let ours = std::env::consts::ARCH;
    if !processor.is_empty() && processor != ours {
        return format!(
            "{cannot}: the host's processor is {processor}, and this `ingot` is for {ours}; use the bundle for {processor}, with the `ingot` in it"
        );
    }
    match mount {
        Some(mount) if mount.noexec => format!(
            "{cannot}: {} ({}) is mounted noexec, and the programs of the cluster run from there: {}; run `mount -o remount,exec {}` on the host and remove noexec from /etc/fstab, or give /var/lib/ingot a file system of its own without it",
            mount.point,
            mount.source,
            said.trim(),
            quote(&mount.point)
        ),
        _ => format!(
            "{cannot}: {}; something on the host forbids it (SELinux, AppArmor, fapolicyd: see its journal); allow programs below /var/lib/ingot",
            said.trim()
        ),
    }
}

/// A line of mountinfo (proc(5)).
struct Mount {
    point: String,
    source: String,
    noexec: bool,
}

impl Mount {
    fn of(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ');
        let point = unescaped(fields.nth(4)?);
        let own = fields.next()?;
        let mut after = after.split(' ');
        let (source, whole) = (after.nth(1)?, after.next().unwrap_or_default());
        let has = |options: &str| options.split(',').any(|option| option == "noexec");
        Some(Self {
            point,
            source: unescaped(source),
            noexec: has(own) || has(whole),
        })
    }

    fn holds(&self, path: &str) -> bool {
        let below = path.strip_prefix(self.point.trim_end_matches('/'));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn depth(&self) -> usize {
        self.point.trim_end_matches('/').len()
    }
}

/// A field in which blanks and backslashes stand as three octal digits.
fn unescaped(field: &str) -> String {
    let mut out = field.to_owned();
    for (escaped, sign) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        out = out.replace(escaped, sign);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/var/lib/ingot/bin/ingot-0123456789abcdef";

    fn said(processor: &str, real: &str, mounts: &str) -> String {
        let exit = Exit {
            status: Some(126),
            stderr: "noise\nsh: 1: ingot: Permission denied\n".into(),
        };
        explain(
            "cp1:22",
            PATH,
            &exit,
            &format!("{processor}\n{real}\n{mounts}"),
        )
    }

    #[test]
    fn the_mount_that_forbids_it_is_named_with_the_remedy() {
        let mounts = "\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
30 22 254:2 / /var rw,noexec,relatime shared:5 - xfs /dev/mapper/vg-var rw
31 30 254:3 / /var/log rw,noexec - xfs /dev/mapper/vg-log rw
32 22 254:4 / /var/lib/ingot-old rw - xfs /dev/vdb rw";
        assert_eq!(
            said(std::env::consts::ARCH, PATH, mounts),
            format!(
                "the program {PATH} cannot be started on cp1:22: /var (/dev/mapper/vg-var) is mounted noexec, and the programs of the cluster run from there: sh: 1: ingot: Permission denied (status 126); run `mount -o remount,exec /var` on the host and remove noexec from /etc/fstab, or give /var/lib/ingot a file system of its own without it"
            )
        );
    }

    #[test]
    fn the_mount_that_counts_is_the_last_and_deepest_where_the_file_really_is() {
        let noexec = |text: &str| text.contains("mounted noexec");
        let arch = std::env::consts::ARCH;
        // Covered by one that allows it.
        let covered = "\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 8:2 / /var/lib rw,noexec - ext4 /dev/b rw
3 1 8:3 / /var/lib rw - ext4 /dev/c rw";
        assert!(!noexec(&said(arch, PATH, covered)));
        // A link leads to another file system, with a blank in its name.
        let linked = "\
1 0 8:1 / / rw - ext4 /dev/a rw
2 1 8:2 / /srv/big\\040disk rw - tmpfs tmpfs rw,noexec";
        let text = said(arch, "/srv/big disk/ingot/bin/ingot", linked);
        assert!(noexec(&text) && text.contains("'/srv/big disk'"), "{text}");
        assert!(!noexec(&said(arch, PATH, linked)));
        assert!(!noexec(&said(arch, "/srv/big disks/x", linked)));
    }

    #[test]
    fn another_processor_is_told_as_that() {
        assert_eq!(
            said("riscv64", PATH, "1 0 8:1 / / rw,noexec - ext4 /dev/a rw"),
            format!(
                "the program {PATH} cannot be started on cp1:22: the host's processor is riscv64, and this `ingot` is for {0}; use the bundle for riscv64, with the `ingot` in it",
                std::env::consts::ARCH
            )
        );
    }
}
