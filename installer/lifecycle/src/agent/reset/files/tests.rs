//! Links of the site in place of our directories.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A host below a directory, with /var/lib/kubelet a link to /data/kubelet.
fn host() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for path in [
        "var/lib",
        "var/log",
        "data/kubelet/lost+found",
        "data/ingot",
        "home/site",
    ] {
        fs::create_dir_all(root.path().join(path)).unwrap();
    }
    fs::write(root.path().join("home/site/file"), "theirs").unwrap();
    link(&root, "data/kubelet", "var/lib/kubelet");
    root
}

fn link(root: &tempfile::TempDir, target: &str, path: &str) {
    symlink(root.path().join(target), root.path().join(path)).unwrap();
}

fn prepared(root: &tempfile::TempDir) -> Prepared {
    Prepared {
        links: links(root.path()),
        ..Prepared::default()
    }
}

fn entries(path: &Path) -> Vec<String> {
    let all = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = all
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn fill(root: &tempfile::TempDir) {
    let pods = root.path().join("var/lib/kubelet/pods/a");
    fs::create_dir_all(&pods).unwrap();
    fs::write(pods.join("token"), "ours").unwrap();
    // A link in it goes; what it leads to stays.
    link(root, "home/site", "var/lib/kubelet/pods/link");
}

#[test]
fn what_a_link_of_before_us_leads_to_is_emptied_and_the_link_stays() {
    let root = host();
    let prepared = prepared(&root);
    let link = PreparedLink {
        path: "/var/lib/kubelet".into(),
        directory: "/data/kubelet".into(),
    };
    assert_eq!(prepared.links, [link]);
    fill(&root);
    let left = delete(root.path(), &prepared);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(entries(&root.path().join("data/kubelet")), ["lost+found"]);
    assert!(root.path().join("var/lib/kubelet").is_symlink());
    assert_eq!(entries(&root.path().join("home/site")), ["file"]);
}

#[test]
fn a_link_that_came_later_or_leads_elsewhere_now_is_left_and_named() {
    let root = host();
    let before = prepared(&root);
    fs::remove_file(root.path().join("var/lib/kubelet")).unwrap();
    link(&root, "home/site", "var/lib/kubelet");
    for prepared in [before, Prepared::default()] {
        let left = delete(root.path(), &prepared);
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(
            left[0].to_string().contains("it is a symbolic link to"),
            "{}",
            left[0]
        );
        assert_eq!(entries(&root.path().join("home/site")), ["file"]);
    }
}

#[test]
fn a_link_to_a_directory_that_holds_something_is_not_taken_for_ours() {
    let root = host();
    link(&root, "home/site", "var/lib/etcd");
    link(&root, "nowhere", "var/lib/containerd");
    let paths: Vec<_> = links(root.path())
        .into_iter()
        .map(|link| link.path)
        .collect();
    assert_eq!(paths, [Path::new("/var/lib/kubelet")]);
}

#[test]
fn our_own_directory_may_be_a_link_too() {
    let root = host();
    link(&root, "data/ingot", "var/lib/ingot");
    // The program comes before the record.
    fs::create_dir(root.path().join("data/ingot/bin")).unwrap();
    let prepared = prepared(&root);
    fs::write(root.path().join("data/ingot/prepared.json"), "{}").unwrap();
    let left = delete_home(root.path(), &prepared);
    assert!(left.is_empty(), "{left:?}");
    assert!(entries(&root.path().join("data/ingot")).is_empty());
    assert!(root.path().join("var/lib/ingot").is_symlink());

    // Of one that nobody knows, nothing is deleted, and it is named.
    fs::write(root.path().join("data/ingot/other"), "").unwrap();
    assert_eq!(delete_home(root.path(), &Prepared::default()).len(), 1);
    assert_eq!(entries(&root.path().join("data/ingot")), ["other"]);
}

#[test]
fn what_is_mounted_where_a_later_link_leads_to_is_not_the_workloads() {
    let root = host();
    let prepared = prepared(&root);
    fill(&root);
    let mounts = |prepared: &Prepared| mounted_by_workloads(root.path(), prepared);
    let pods = root.path().join("data/kubelet/pods");
    assert_eq!(mounts(&prepared), std::slice::from_ref(&pods));
    assert!(mounts(&Prepared::default()).is_empty());
    fs::rename(&pods, root.path().join("data/pods")).unwrap();
    link(&root, "data/pods", "data/kubelet/pods");
    assert!(mounts(&prepared).is_empty());
}
