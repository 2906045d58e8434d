//! Names of hosts: DNS names (RFC 1123, section 2.1) and addresses.

use crate::finding::Report;
use std::net::IpAddr;

/// Whether each label of `text` is one, and the whole fits into a DNS message.
pub(super) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether `text` was meant to be an IPv4 address: its last label is a number, which no domain is.
pub(super) fn looks_like_address(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.chars().all(|c| c.is_ascii_digit())
}

/// Checks the name or address of a host.
pub(super) fn host(place: &str, text: &str, report: &mut Report) -> Option<()> {
    if text.parse::<IpAddr>().is_ok() {
        return Some(());
    }
    if looks_like_address(text) {
        report.error(
            place,
            format!("`{text}` looks like an address and is not one"),
            "check its numbers: four of them, each at most 255",
        );
        return None;
    }
    if !is_name(text) {
        report.error(
            place,
            format!("`{text}` is neither an address nor a DNS name"),
            "write only the host: no scheme, user, port or path",
        );
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        let good = |text: &str| host("", text, &mut Report::new("f")).is_some();
        for text in [
            "a",
            "a.example.com",
            "A-1.b",
            "10.0.0.1",
            "fd00::1",
            "1password.com",
        ] {
            assert!(good(text), "{text}");
        }
        for text in [
            "",
            "a..b",
            "-a",
            "a_b",
            "10.0.0.256",
            "10.0.0",
            "http://a",
            "a:22",
            "root@a",
        ] {
            assert!(!good(text), "{text}");
        }
    }
}
