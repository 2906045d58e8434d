//! Software bills of materials: SPDX 2.3 in JSON, one per component. Pure.
//!
//! Never guesses a licence: what a source does not say is `NOASSERTION`.

use ingot_bundle::Digest;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Something a component is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// Its name in its ecosystem.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Package URL (github.com/package-url/purl-spec), which carries the ecosystem.
    pub purl: String,
    /// SPDX expression, if its source says.
    pub licence: Option<String>,
    /// SHA-256 of its archive, hexadecimal, if there is one.
    pub sha256: Option<String>,
    /// A proof of another kind, such as the hash of go.sum.
    pub note: Option<String>,
}

/// What the document is about.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Component name.
    pub name: &'a str,
    /// Component version.
    pub version: &'a str,
    /// SPDX expression.
    pub licence: &'a str,
    /// RFC 3339.
    pub created: &'a str,
}

/// Writes the document. `parts` may repeat; each is named once.
///
/// # Errors
/// Only if JSON cannot be produced, which no input of these types can cause.
pub fn write(subject: &Subject<'_>, parts: &[Part]) -> Result<Vec<u8>, serde_json::Error> {
    let unique: BTreeMap<&str, &Part> = parts
        .iter()
        .map(|part| (part.purl.as_str(), part))
        .collect();
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-component",
        "name": subject.name,
        "versionInfo": subject.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": subject.licence,
        "copyrightText": "NOASSERTION",
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-component",
    })];
    for part in unique.values() {
        let id = identifier(&part.purl);
        relationships.push(json!({
            "spdxElementId": "SPDXRef-component",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": id,
        }));
        packages.push(package(&id, part));
    }
    // The namespace must be unique to the content (SPDX 2.3, clause 6.5).
    let content = Digest::of(serde_json::to_string(&packages)?.as_bytes());
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("{}-{}", subject.name, subject.version),
        "documentNamespace":
            format!("https://ingot.dev/spdx/{}-{}-{}", subject.name, subject.version, content.hex()),
        "creationInfo": {
            "created": subject.created,
            "creators": [concat!("Tool: iso-builder-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    serde_json::to_vec(&document)
}

fn package(id: &str, part: &Part) -> Value {
    let mut package = json!({
        "SPDXID": id,
        "name": part.name,
        "versionInfo": part.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": part.licence.as_deref().unwrap_or("NOASSERTION"),
        "copyrightText": "NOASSERTION",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": part.purl,
        }],
    });
    if let Some(sha256) = &part.sha256 {
        package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": sha256 }]);
    }
    if let Some(note) = &part.note {
        package["comment"] = json!(note);
    }
    package
}

/// SPDX identifiers may hold letters, digits, `.` and `-` only; the digest keeps them apart.
fn identifier(purl: &str) -> String {
    let plain: String = purl
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    format!(
        "SPDXRef-{plain}-{}",
        &Digest::of(purl.as_bytes()).hex()[..8]
    )
}

/// The modules of a Go program, from the text of `go version -m`.
pub fn go_parts(build_info: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for line in build_info.lines() {
        let words: Vec<&str> = line.trim().split('\t').collect();
        match words.as_slice() {
            [kind @ ("mod" | "dep"), name, version, rest @ ..] => {
                if *kind == "mod" && name.starts_with("ingot.dev/trains/") {
                    continue; // our own empty wrapper
                }
                parts.push(go_part(name, version, rest.first().copied()));
            }
            // The line before is a program of ours, from this repository.
            ["=>", name, ..] if name.starts_with('.') => {}
            // The line before was replaced by this one.
            ["=>", name, version, rest @ ..] => {
                parts.pop();
                parts.push(go_part(name, version, rest.first().copied()));
            }
            _ => {}
        }
    }
    let toolchain = build_info
        .lines()
        .next()
        .and_then(|line| line.rsplit(": ").next());
    if let Some(version) = toolchain.and_then(|text| text.strip_prefix("go")) {
        parts.push(Part {
            name: "stdlib".to_owned(),
            version: version.to_owned(),
            purl: format!("pkg:golang/std@{version}"),
            licence: Some("BSD-3-Clause".to_owned()),
            sha256: None,
            note: Some("the Go standard library and runtime".to_owned()),
        });
    }
    parts
}

fn go_part(name: &str, version: &str, sum: Option<&str>) -> Part {
    Part {
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:golang/{name}@{version}"),
        licence: None,
        sha256: None,
        note: sum
            .filter(|sum| !sum.is_empty())
            .map(|sum| format!("go.sum {sum}")),
    }
}

/// The crates of a Rust program, from lines of `name vVERSION (source)|licence` and the text of
/// Cargo.lock, which has the checksums.
pub fn cargo_parts(tree: &str, lock: &str) -> Vec<Part> {
    let checksums = checksums(lock);
    let mut parts: Vec<Part> = tree
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let mut words = package.split_whitespace();
            let name = words.next()?.to_owned();
            let version = words.next()?.trim_start_matches('v').to_owned();
            let sha256 = checksums.get(&(name.clone(), version.clone())).cloned();
            Some(Part {
                purl: format!("pkg:cargo/{name}@{version}"),
                // Old crates write `MIT/Apache-2.0`, which is no SPDX expression.
                licence: (!licence.is_empty()).then(|| licence.replace('/', " OR ")),
                name,
                version,
                sha256,
                note: None,
            })
        })
        .collect();
    parts.sort();
    parts.dedup();
    parts
}

fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for block in lock.split("[[package]]") {
        let field = |name: &str| {
            block.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(" = \"")?
                    .strip_suffix('"')
                    .map(str::to_owned)
            })
        };
        if let (Some(name), Some(version), Some(sum)) =
            (field("name"), field("version"), field("checksum"))
        {
            found.insert((name, version), sum);
        }
    }
    found
}

#[cfg(test)]
mod tests;
