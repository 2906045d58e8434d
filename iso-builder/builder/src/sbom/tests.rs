use super::*;

const BUILD_INFO: &str = "/tmp/etcd: go1.26.8\n\tpath\tgo.etcd.io/etcd/server/v3\n\
    \tmod\tgo.etcd.io/etcd/server/v3\tv3.6.16\th1:aaa=\n\
    \tdep\texample.org/old\tv1.0.0\n\t=>\texample.org/new\tv1.2.0\th1:bbb=\n\
    \tdep\tingot.dev/programs/x\tv0.0.0\n\t=>\t../../programs/x\t(devel)\t\n\
    \tbuild\t-compiler=gc\n";

#[test]
fn go_modules_are_listed_with_their_replacements() {
    let parts = go_parts(BUILD_INFO);
    let purls: Vec<&str> = parts.iter().map(|part| part.purl.as_str()).collect();
    assert_eq!(
        purls,
        [
            "pkg:golang/go.etcd.io/etcd/server/v3@v3.6.16",
            "pkg:golang/example.org/new@v1.2.0",
            "pkg:golang/ingot.dev/programs/x@v0.0.0",
            "pkg:golang/std@1.26.8",
        ]
    );
    assert_eq!(parts[1].note.as_deref(), Some("go.sum h1:bbb="));
}

#[test]
fn crates_are_listed_with_checksums_and_licences() {
    let tree = "ingot v0.1.0 (/src)|Apache-2.0\nlibc v0.2.1|MIT/Apache-2.0\n\
                libc v0.2.1|MIT/Apache-2.0\nnone v1.0.0|\n";
    let lock = "[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\n\
                source = \"registry\"\nchecksum = \"abcd\"\n";
    let parts = cargo_parts(tree, lock);
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[1].licence.as_deref(), Some("MIT OR Apache-2.0"));
    assert_eq!(parts[1].sha256.as_deref(), Some("abcd"));
    assert_eq!(parts[2].licence, None);
}

#[test]
fn a_document_has_what_spdx_asks_for() -> Result<(), serde_json::Error> {
    let subject = Subject {
        name: "etcd",
        version: "3.6.16",
        licence: "Apache-2.0",
        created: "2026-11-01T00:00:00Z",
    };
    let bytes = write(&subject, &go_parts(BUILD_INFO))?;
    let document: Value = serde_json::from_slice(&bytes)?;
    // SPDX 2.3, clauses 6 and 7: the mandatory fields of a document and of a package.
    for field in [
        "spdxVersion",
        "dataLicense",
        "SPDXID",
        "name",
        "documentNamespace",
        "creationInfo",
    ] {
        assert!(!document[field].is_null(), "{field}");
    }
    let packages = document["packages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    assert_eq!(packages.len(), 5);
    let mut ids = std::collections::BTreeSet::new();
    for package in packages {
        assert!(package["name"].is_string() && package["downloadLocation"].is_string());
        let id = package["SPDXID"].as_str().unwrap_or_default();
        let rest = id.strip_prefix("SPDXRef-").unwrap_or_default();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        assert!(!rest.is_empty() && rest.chars().all(allowed), "{id}");
        assert!(ids.insert(id), "{id} is there twice");
    }
    for link in document["relationships"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
    {
        let target = link["relatedSpdxElement"].as_str().unwrap_or_default();
        assert!(ids.contains(target), "{target}");
    }
    assert_eq!(bytes, write(&subject, &go_parts(BUILD_INFO))?);
    Ok(())
}
