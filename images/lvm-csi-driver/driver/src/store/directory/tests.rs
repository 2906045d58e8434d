use super::*;
use crate::object::GroupSnapshot;
use ingot_volume_brain::{NameHash, VolumeUid};

fn group() -> Object {
    Object::Group(GroupSnapshot {
        uid: VolumeUid(1),
        csi_name: "g".into(),
        volumes: Vec::new(),
        snapshots: Vec::new(),
        created: 0,
    })
}

#[tokio::test]
async fn a_version_is_given_once_and_old_ones_write_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let store = DirectoryStore::open(folder.path()).expect("opened");
    let other = DirectoryStore::open(folder.path()).expect("opened by another process");
    let key = Key::group(NameHash::of("g"));
    let first = store.create(&key, group()).await.expect("created");
    assert_eq!(
        other.create(&key, group()).await,
        Err(StoreError::Exists(key.clone()))
    );
    let second = other.update(&key, first, group()).await.expect("updated");
    let late = store.update(&key, first, group()).await;
    assert_eq!(late, Err(StoreError::Conflict(key.clone())));
    assert_eq!(
        store.delete(&key, first).await,
        Err(StoreError::Conflict(key.clone()))
    );
    store.delete(&key, second).await.expect("deleted");
    let again = store.create(&key, group()).await.expect("created");
    assert!(
        again > second,
        "a version of a former life would hide a change"
    );
}

#[tokio::test]
async fn a_counter_that_was_lost_with_the_power_goes_on_from_the_last_version() {
    let folder = tempfile::tempdir().expect("a directory");
    let store = DirectoryStore::open(folder.path()).expect("opened");
    let key = Key::group(NameHash::of("g"));
    let mut last = store.create(&key, group()).await.expect("created");
    drop(store);
    for left in [Some(""), Some("0"), None] {
        let counter = folder.path().join("version");
        match left {
            Some(left) => fs::write(&counter, left).expect("written"),
            None => fs::remove_file(&counter).expect("removed"),
        }
        let store = DirectoryStore::open(folder.path()).expect("opened");
        let next = store.update(&key, last, group()).await.expect("updated");
        assert!(next > last, "{left:?}: {next:?}");
        last = next;
    }
}

#[tokio::test]
async fn changes_of_other_processes_are_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let store = DirectoryStore::open(folder.path()).expect("opened");
    let other = DirectoryStore::open(folder.path()).expect("opened by another process");
    let mut changes = store.watch();
    let key = Key::group(NameHash::of("g"));
    let version = other.create(&key, group()).await.expect("created");
    assert_eq!(changes.recv().await.as_ref(), Ok(&key));
    other.delete(&key, version).await.expect("deleted");
    assert_eq!(changes.recv().await.as_ref(), Ok(&key));
}
