//! What other processes have changed.

use super::DirectoryStore;
use super::replaced::Replaced;
use crate::object::Key;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Weak;

/// Tells of changes by other processes, for as long as the store is in use.
pub(super) async fn look(store: Weak<DirectoryStore>) {
    let Some(replaced) = store.upgrade().map(|store| Replaced::within(&store.folder)) else {
        return;
    };
    let mut last = None;
    let mut known = BTreeMap::new();
    while let Some(store) = store.upgrade() {
        // Alone: between a writer's counter and its file, the counter alone would be believed.
        let seen = store.alone(|| {
            let removed = fs::metadata(store.folder.join("removed")).and_then(|m| m.modified());
            let now = Some((store.last()?, removed.ok()));
            let found = if last == now {
                None
            } else {
                Some(store.versions()?)
            };
            Ok((now, found))
        });
        if let Ok((now, Some(found))) = seen {
            let gone = known.keys().filter(|key| !found.contains_key(*key));
            let changed = found
                .iter()
                .filter(|(key, version)| known.get(*key) != Some(*version));
            for key in gone.chain(changed.map(|(key, _)| key)) {
                let _ = store.changes.send(Key::clone(key));
            }
            last = now;
            known = found;
        }
        drop(store);
        replaced.wait().await;
    }
}
