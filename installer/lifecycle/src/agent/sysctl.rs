//! Puts the kernel settings of this host back. Others set them as well, at boot and later; pods are cut off
//! as soon as one of them turns forwarding off. Started before the kubelet and once a minute.

use std::path::{Path, PathBuf};

/// Writes what differs from `file`; returns what was put back, one setting a line.
///
/// # Errors
/// When the file cannot be read, or the kernel refuses a setting that it has.
pub fn put_back(file: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    put_back_below(Path::new("/proc/sys"), &text)
}

fn put_back_below(root: &Path, text: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut refused = Vec::new();
    let settings = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='));
    for (key, wanted) in settings {
        let (key, wanted) = (key.trim(), wanted.trim());
        let path: PathBuf = root.join(key.replace('.', "/"));
        // The kernel may lack it until a module is loaded.
        let Ok(found) = std::fs::read_to_string(&path) else {
            continue;
        };
        let found = found.trim();
        if found == wanted {
            continue;
        }
        match std::fs::write(&path, wanted) {
            Ok(()) => done.push(format!("{key} was {found}, put back to {wanted}")),
            Err(error) => refused.push(format!("cannot set {key} to {wanted}: {error}")),
        }
    }
    if refused.is_empty() {
        Ok(done)
    } else {
        Err(refused.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::put_back_below;

    #[test]
    fn what_others_have_changed_is_put_back_and_the_rest_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::create_dir_all(at("net/ipv4")).unwrap();
        std::fs::create_dir_all(at("kernel")).unwrap();
        std::fs::write(at("net/ipv4/ip_forward"), "0\n").unwrap();
        std::fs::write(at("kernel/panic"), "10\n").unwrap();
        let text = "# ours\nnet.ipv4.ip_forward = 1\nkernel.panic = 10\nno.such = 1\n";
        let told = ["net.ipv4.ip_forward was 0, put back to 1"];
        assert_eq!(put_back_below(root.path(), text).unwrap(), told);
        assert_eq!(
            std::fs::read_to_string(at("net/ipv4/ip_forward")).unwrap(),
            "1"
        );
        assert_eq!(put_back_below(root.path(), text).unwrap(), [""; 0]);
    }
}
