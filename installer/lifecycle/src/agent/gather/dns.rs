//! Which resolv.conf(5) of this host pods can use.
//!
//! A pod has a loopback of its own: a name server at 127.0.0.53 or 127.0.0.1, as systemd-resolved and
//! dnsmasq write them, is none for it, and CoreDNS would forward to itself.

use std::net::IpAddr;

/// Where they may be, the first that is of use counts; systemd-resolved writes the real servers into
/// the second (systemd-resolved.service(8), "/etc/resolv.conf").
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// The file that pods can use, with its name servers; none on a host without any.
pub fn for_pods() -> Option<(String, Vec<String>)> {
    FILES.iter().find_map(|path| {
        let servers = servers(&super::text(path))?;
        Some(((*path).to_owned(), servers))
    })
}

/// Whether programs of this host have name servers and pods cannot use them: /etc/resolv.conf names one of this
/// host only, and nothing says which it asks itself.
pub fn only_local() -> bool {
    super::text(FILES[0])
        .lines()
        .any(|line| line.trim().starts_with("nameserver"))
        && for_pods().is_none()
}

/// The name servers of a file, unless there are none or one is at a loopback address.
fn servers(text: &str) -> Option<Vec<String>> {
    let all: Vec<String> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter(|rest| rest.starts_with([' ', '\t']))
        .filter_map(|rest| rest.split_whitespace().next())
        .map(Into::into)
        .collect();
    let loopback = |server: &String| {
        let address = server.split('%').next().unwrap_or_default();
        address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    };
    (!all.is_empty() && !all.iter().any(loopback)).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::servers;

    #[test]
    fn servers_of_a_site_are_of_use() {
        let text = "# made by hand\nsearch example.org\nnameserver 10.0.0.2\nnameserver\tfe80::1%eth0 # two\n";
        assert_eq!(servers(text).unwrap(), ["10.0.0.2", "fe80::1%eth0"]);
    }

    #[test]
    fn a_server_on_the_loopback_is_none_for_pods() {
        assert_eq!(servers("nameserver 127.0.0.53\noptions edns0\n"), None);
        assert_eq!(servers("nameserver 10.0.0.2\nnameserver ::1\n"), None);
        assert_eq!(servers(""), None);
    }
}
