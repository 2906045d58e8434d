//! One line of the file: whether it is about a host, and what it says. What cannot be read is said to be
//! so, never passed over: it may be the record of a key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::PublicKey;

/// What a line says about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It may show this key.
    Key(PublicKey),
    /// Whoever shows this key is not to be trusted.
    Revoked(PublicKey),
    /// An authority certifies its keys with this one.
    Authority(PublicKey),
    /// Not to be understood.
    Unreadable {
        /// What is wrong.
        reason: String,
        /// It is marked, so it may revoke a key.
        marked: bool,
    },
}

/// What `line` says about the host of this `name`: `host`, or `[host]:port`, in lower case.
pub(super) fn about(name: &str, line: &[u8]) -> Option<Said> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        // A byte that is no UTF-8 can only be in a comment, or is wrong where it is.
        .map(String::from_utf8_lossy);
    let first = fields.next()?;
    if first.starts_with('#') {
        return None;
    }
    let (marker, hosts) = match first.starts_with('@') {
        true => (Some(first), fields.next()?),
        false => (None, first),
    };
    let marked = marker.is_some();
    let unreadable = |reason: String| Said::Unreadable { reason, marked };
    match concerns(&hosts, name) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(reason) => return Some(unreadable(reason.into())),
    }
    let key = match (fields.next(), fields.next()) {
        (Some(kind), Some(base64)) => PublicKey::from_openssh(&format!("{kind} {base64}"))
            .map_err(|error| format!("its key cannot be read ({error})")),
        _ => Err("has no key".into()),
    };
    Some(match (marker.as_deref(), key) {
        (Some("@cert-authority"), Ok(key)) => Said::Authority(key),
        (Some("@revoked"), Ok(key)) => Said::Revoked(key),
        // An authority that cannot be read vouches for nobody, and takes nothing back.
        (Some("@cert-authority"), Err(reason)) => Said::Unreadable {
            reason,
            marked: false,
        },
        (Some("@revoked") | None, Err(reason)) => unreadable(reason),
        (None, Ok(key)) => Said::Key(key),
        (Some(other), _) => unreadable(format!("has the unknown mark {other}")),
    })
}

/// Whether a list of patterns is about a host: one fits, and none that excludes.
fn concerns(patterns: &str, name: &str) -> Result<bool, &'static str> {
    let mut found = false;
    for pattern in patterns.split(',') {
        if pattern.starts_with('|') {
            found |= hashed(pattern, name).ok_or("has a damaged hash instead of a name")?;
            continue;
        }
        let (excludes, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern),
        };
        if matches(pattern, name) {
            if excludes {
                return Ok(false);
            }
            found = true;
        }
    }
    Ok(found)
}

/// `|1|salt|hash`: the name is hidden behind its HMAC-SHA1. `None` when it is something else.
fn hashed(pattern: &str, name: &str) -> Option<bool> {
    let (salt, hash) = pattern.strip_prefix("|1|")?.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    (hash.len() == 20).then(|| hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// Whether a pattern of names is about `name`, which is in lower case.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    fits(&pattern.to_ascii_lowercase(), name)
}

/// Whether a name fits a pattern: `*` stands for any text, `?` for one sign, brackets for themselves.
pub(in crate::ssh) fn fits(pattern: &str, name: &str) -> bool {
    bytes_fit(pattern.as_bytes(), name.as_bytes())
}

fn bytes_fit(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|at| bytes_fit(rest, &name[at..])),
        Some((sign, rest)) => match name.split_first() {
            Some((other, name)) => (*sign == b'?' || sign == other) && bytes_fit(rest, name),
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn said(name: &str, line: &str) -> Option<Said> {
        about(name, line.as_bytes())
    }

    #[test]
    fn names_are_found_in_every_form_sshd_has() {
        let key = Some(Said::Key(PublicKey::from_openssh(KEY).unwrap()));
        for (name, hosts) in [
            ("cp1", "cp1"),
            ("cp1", "  cp1\t"),
            ("cp1", "other,CP1,10.0.0.1"),
            ("10.0.0.1", "cp1,10.0.0.1"),
            ("[10.0.0.1]:2222", "[10.0.0.1]:2222"),
            ("[fd00::1]:2222", "cp1,[fd00::1]:2222"),
            ("fd00::1", "fd00::1"),
            ("cp1.site", "*.site"),
            ("cp1.site", "cp?.site,!w1.site"),
            // Made by `ssh-keygen -H`.
            (
                "example.com",
                "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=",
            ),
        ] {
            assert_eq!(
                said(name, &format!("{hosts} {KEY} a comment")),
                key,
                "{hosts}"
            );
        }
        for (name, hosts) in [
            ("cp1", "#cp1"),
            ("cp1", "cp10"),
            ("cp1", "[cp1]:22"),
            ("[cp1]:2222", "cp1"),
            ("w1.site", "*.site,!w1.site"),
            ("cp1", "*.site"),
            (
                "example.org",
                "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak=",
            ),
        ] {
            assert_eq!(said(name, &format!("{hosts} {KEY}")), None, "{hosts}");
        }
        assert_eq!(said("cp1", ""), None);
    }

    #[test]
    fn marks_are_told_apart() {
        let key = PublicKey::from_openssh(KEY).unwrap();
        assert_eq!(
            said("cp1", &format!("@revoked * {KEY}")),
            Some(Said::Revoked(key.clone()))
        );
        assert_eq!(
            said("cp1", &format!("@cert-authority cp1 {KEY}")),
            Some(Said::Authority(key))
        );
        assert_eq!(said("cp1", &format!("@revoked w1 {KEY}")), None);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_only_where_it_may_concern_the_host() {
        let reason = |line: &[u8]| match about("cp1", line) {
            Some(Said::Unreadable { reason, marked }) => format!("{reason}; marked {marked}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(b"cp1"), "has no key; marked false");
        assert_eq!(reason(b"@revoked cp1 ssh-rsa"), "has no key; marked true");
        assert_eq!(
            reason(format!("@trusted cp1 {KEY}").as_bytes()),
            "has the unknown mark @trusted; marked true"
        );
        assert_eq!(
            reason(format!("|1|AAAA|?? {KEY}").as_bytes()),
            "has a damaged hash instead of a name; marked false"
        );
        for key in [
            &b"ssh-ed25519 AAAA"[..],
            b"ssh-ed25519 AAAA\xff",
            b"ssh-rsa !",
            b"1024 35",
        ] {
            let line = [b"cp1 ", key].concat();
            assert!(reason(&line).starts_with("its key cannot be read ("));
        }
        // The type must be the key's own.
        assert!(
            reason(format!("cp1 {}", KEY.replace("ssh-ed25519", "ssh-rsa")).as_bytes())
                .starts_with("its key cannot be read (")
        );
        assert_eq!(about("cp1", b"w1 ssh-ed25519 AAAA\xff"), None);
        assert_eq!(about("cp1", b"\xff\xfe ssh-ed25519 AAAA"), None);
    }
}
