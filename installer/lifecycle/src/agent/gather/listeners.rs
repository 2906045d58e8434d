//! Which TCP ports are listened on, and by whom (proc(5), "/proc/net/tcp").

use std::collections::BTreeMap;

/// Listening ports -> the name of the program, or `unknown`.
pub fn listening() -> BTreeMap<u16, String> {
    let mut inodes: BTreeMap<String, u16> = BTreeMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(entry));
    }
    let mut ports: BTreeMap<u16, String> = inodes
        .values()
        .map(|port| (*port, "unknown".to_owned()))
        .collect();
    for (pid, name) in processes() {
        for link in std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(target) = std::fs::read_link(link.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            let inode = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if let Some(port) = inode.and_then(|inode| inodes.get(inode)) {
                ports.insert(*port, name.clone());
            }
        }
    }
    ports
}

/// Inode and port of a line whose state is LISTEN (0A).
fn entry(line: &str) -> Option<(String, u16)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let port = u16::from_str_radix(fields.get(1)?.rsplit(':').next()?, 16).ok()?;
    Some(((*fields.get(9)?).to_owned(), port))
}

fn processes() -> impl Iterator<Item = (u32, String)> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            Some((pid, name.trim().to_owned()))
        })
}

/// A process of that name.
pub fn process_named(name: &str) -> Option<u32> {
    processes()
        .find(|(_, found)| found == name)
        .map(|(pid, _)| pid)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_listener_is_read_from_its_line() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 0";
        assert_eq!(super::entry(line), Some(("4242".into(), 8080)));
        assert_eq!(super::entry(&line.replace(" 0A ", " 01 ")), None);
    }

    #[test]
    fn our_own_listener_is_found_with_its_program() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(super::listening()[&port] != "unknown");
    }
}
