//! Finds the machine's own apt sources for the release that hosts run.
//!
//! Hosts are installed from wherever the machine is configured to get Debian from; this crate names
//! no package server. It only reads.

use std::fs;
use std::path::{Path, PathBuf};

/// The Debian release of the hosts.
pub(crate) const RELEASE: &str = "bookworm";

/// Variable that names a sources file to use instead of the machine's.
pub(crate) const OVERRIDE: &str = "INGOT_LAB_APT_SOURCES";

/// The entries for [`RELEASE`], in deb822 form (sources.list(5)); empty if the machine has none.
pub(crate) fn read() -> String {
    if let Some(path) = std::env::var_os(OVERRIDE).filter(|p| !p.is_empty()) {
        return fs::read_to_string(path).unwrap_or_default();
    }
    let mut files: Vec<PathBuf> = vec!["/etc/apt/sources.list".into()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|e| e.path()));
    }
    files.sort();
    let mut stanzas = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => stanzas.extend(text.lines().filter_map(from_line)),
            Some("sources") => stanzas.extend(deb822_stanzas(&text)),
            _ => {}
        }
    }
    stanzas.join("\n")
}

/// Digests must not depend on where the machine gets its packages from, but errors should say
/// whether it gets them from anywhere.
pub(crate) fn are_configured() -> bool {
    !read().trim().is_empty()
}

fn is_ours(suite: &str) -> bool {
    let rest = suite.strip_prefix(RELEASE);
    rest.is_some_and(|r| ["", "-updates", "-security", "/updates"].contains(&r))
}

/// One line of the old form: `deb [options] uri suite component...`.
fn from_line(line: &str) -> Option<String> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    let mut rest = rest.trim_start();
    let mut fields = String::new();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, after) = options.split_once(']')?;
        for (key, value) in options.split_whitespace().filter_map(|o| o.split_once('=')) {
            // The two option names that matter here differ between the forms.
            let key = match key {
                "signed-by" => "Signed-By",
                "trusted" => "Trusted",
                _ => continue,
            };
            fields += &format!("{key}: {value}\n");
        }
        rest = after;
    }
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let has_main = words.any(|c| c == "main");
    (is_ours(suite) && has_main).then(|| stanza(uri, suite, &fields))
}

fn deb822_stanzas(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    lines
        .split(|l| l.trim().is_empty())
        .filter_map(from_deb822)
        .collect()
}

fn from_deb822(lines: &[&str]) -> Option<String> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let last = fields.last_mut()?;
            last.1 += &format!("\n{line}");
        } else {
            let (key, value) = line.split_once(':')?;
            fields.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let get = |name: &str| {
        fields
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    };
    let enabled = !get("Enabled").is_some_and(|v| v.eq_ignore_ascii_case("no"));
    let binary = get("Types")?.split_whitespace().any(|t| t == "deb");
    let main = get("Components")?.split_whitespace().any(|c| c == "main");
    let suites: Vec<&str> = get("Suites")?
        .split_whitespace()
        .filter(|s| is_ours(s))
        .collect();
    if !enabled || !binary || !main || suites.is_empty() {
        return None;
    }
    let mut extra = String::new();
    for key in ["Signed-By", "Trusted"] {
        if let Some(value) = get(key) {
            extra += &format!("{key}: {value}\n");
        }
    }
    Some(stanza(get("URIs")?, &suites.join(" "), &extra))
}

fn stanza(uris: &str, suites: &str, extra: &str) -> String {
    format!("Types: deb\nURIs: {uris}\nSuites: {suites}\nComponents: main\n{extra}")
}

/// Writes the entries to a file that mmdebstrap takes as its sources.
pub(crate) fn write_to(path: &Path) -> std::io::Result<()> {
    fs::write(path, read())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_of_the_release_are_kept_and_others_dropped() {
        let text = "\
# a comment
Types: deb
# another
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://vendor.example/repo
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
Components: main
";
        assert_eq!(
            deb822_stanzas(text),
            [
                "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
              Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            ]
        );
    }

    #[test]
    fn lines_of_the_old_form_are_understood() {
        let line =
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main # x";
        assert_eq!(
            from_line(line).unwrap(),
            "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n\
             Signed-By: /k.gpg\n"
        );
        for other in [
            "",
            "# deb http://m.example/debian bookworm main",
            "deb-src http://m.example/debian bookworm main",
            "deb http://m.example/debian trixie main",
            "deb http://m.example/x cloud-sdk-bookworm main",
            "deb http://m.example/debian bookworm contrib",
        ] {
            assert_eq!(from_line(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_written_into_the_stanza_is_carried_along() {
        let stanza = from_deb822(&[
            "Types: deb",
            "URIs: http://m.example/debian",
            "Suites: bookworm",
            "Components: main",
            "Signed-By:",
            " -----BEGIN PGP PUBLIC KEY BLOCK-----",
            " .",
        ]);
        let wanted = "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n";
        assert!(stanza.unwrap().ends_with(wanted));
    }
}
