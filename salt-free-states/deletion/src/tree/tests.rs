use super::*;
use std::fs;
use std::os::unix::fs::symlink;

/// A directory with a tree `ours` in it, beside what must not be touched.
fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    fs::create_dir_all(site.path().join("ours/a/b")).unwrap();
    fs::create_dir_all(site.path().join("theirs")).unwrap();
    fs::write(site.path().join("theirs/data"), "kept").unwrap();
    fs::write(site.path().join("ours/a/b/file"), "").unwrap();
    site
}

fn left(deleted: &Deleted) -> Vec<String> {
    deleted.left.iter().map(Left::to_string).collect()
}

#[test]
fn a_tree_goes_and_links_in_it_lead_nowhere() {
    let site = site();
    let (ours, theirs) = (site.path().join("ours"), site.path().join("theirs"));
    symlink(&theirs, ours.join("a/link")).unwrap();
    symlink(theirs.join("data"), ours.join("a/file-link")).unwrap();
    symlink("/does/not/exist", ours.join("dangling")).unwrap();
    fs::hard_link(theirs.join("data"), ours.join("a/hard")).unwrap();
    let deleted = delete(&ours, &Root::Remove, &[]);
    assert_eq!(left(&deleted), [""; 0]);
    // ours, a, b, file, and the four links.
    assert_eq!(deleted.removed, 8);
    assert!(!ours.exists());
    assert_eq!(fs::read_to_string(theirs.join("data")).unwrap(), "kept");
    // Once more is fine.
    let again = delete(&ours, &Root::Remove, &[]);
    assert_eq!((again.removed, again.left.len()), (0, 0));
}

#[test]
fn a_link_in_place_of_the_directory_is_removed_or_named_but_not_followed() {
    let site = site();
    let link = site.path().join("link");
    symlink(site.path().join("theirs"), &link).unwrap();
    let kept = delete(&link, &Root::Keep, &[]);
    let theirs = site.path().join("theirs");
    assert_eq!(
        left(&kept),
        [format!(
            "{}: it is a symbolic link to {}, which was not followed",
            fs::canonicalize(site.path())
                .unwrap()
                .join("link")
                .display(),
            theirs.display()
        )]
    );
    assert_eq!(delete(&link, &Root::Remove, &[]).removed, 1);
    assert!(theirs.join("data").exists() && fs::symlink_metadata(&link).is_err());
}

#[test]
fn a_directory_is_emptied_but_for_what_is_spared() {
    let site = site();
    let ours = site.path().join("ours");
    fs::create_dir_all(ours.join("lost+found")).unwrap();
    fs::create_dir_all(ours.join("a/lost+found")).unwrap();
    let deleted = delete(&ours, &Root::Keep, &["lost+found"]);
    assert_eq!(left(&deleted), [""; 0]);
    let found: Vec<_> = fs::read_dir(&ours)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(found, ["lost+found"]);
}

#[test]
fn a_file_is_removed_and_paths_that_name_nothing_are_refused() {
    let site = site();
    assert_eq!(
        delete(&site.path().join("theirs/data"), &Root::Remove, &[]).removed,
        1
    );
    assert_eq!(
        delete(&site.path().join("no/such/path"), &Root::Remove, &[])
            .left
            .len(),
        0
    );
    assert_eq!(delete(Path::new("/"), &Root::Remove, &[]).left.len(), 1);
    assert_eq!(
        delete(&site.path().join("ours/.."), &Root::Remove, &[])
            .left
            .len(),
        1
    );
    assert!(site.path().join("ours/a/b/file").exists());
}

#[test]
fn a_tree_deeper_than_open_descriptors_goes() {
    let site = tempfile::tempdir().unwrap();
    let mut at = open::parent(site.path()).unwrap();
    for level in 0..700 {
        nix::sys::stat::mkdirat(&at, "d", nix::sys::stat::Mode::S_IRWXU).unwrap();
        if level % 7 == 0 {
            symlink(
                "/",
                format!(
                    "/proc/self/fd/{}/link",
                    std::os::fd::AsRawFd::as_raw_fd(&at)
                ),
            )
            .unwrap();
        }
        let Ok(next) = open::inside(&at, OsStr::new("d")) else {
            panic!("just made")
        };
        at = next.fd;
    }
    let deleted = delete(&site.path().join("d"), &Root::Remove, &[]);
    assert_eq!(left(&deleted), [""; 0]);
    assert_eq!(deleted.removed, 700 + 99);
}

#[test]
fn without_openat2_the_mount_id_decides() {
    let site = site();
    let at = open::parent(site.path()).unwrap();
    assert!(open::by_mount_id(&at, OsStr::new("ours")).is_ok());
    symlink("ours", site.path().join("link")).unwrap();
    let link = open::by_mount_id(&at, OsStr::new("link"));
    assert!(matches!(link, Err(Obstacle::NotDirectory)));
    // /proc is a mount on every Linux.
    let root = open::parent(Path::new("/")).unwrap();
    assert!(matches!(
        open::by_mount_id(&root, OsStr::new("proc")),
        Err(Obstacle::Mount)
    ));
    assert!(matches!(
        open::inside(&root, OsStr::new("proc")),
        Err(Obstacle::Mount)
    ));
}
