//! Tells of changes in the API, from its watches.

use super::{KubeStore, chain};
use crate::object::{Key, ObjectKind};
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The pause after a watch failed: an API server that comes back must not be run down.
const PAUSE: Duration = Duration::from_secs(2);

/// Seconds after which the server ends a watch that nothing happened on.
pub(super) const LENGTH: u32 = 60;

/// Follows what the role of the store looks at, until the store is gone.
pub(super) fn follow(store: &Arc<KubeStore>) {
    for kind in [ObjectKind::Volume, ObjectKind::Snapshot] {
        let weak = Arc::downgrade(store);
        tokio::spawn(run(weak, store.api(kind), kind, store.selector(kind)));
    }
}

/// Objects by name, with the version last told.
type Told = BTreeMap<String, String>;

async fn run(
    store: Weak<KubeStore>,
    api: Api<DynamicObject>,
    kind: ObjectKind,
    selector: Option<String>,
) {
    let mut told = Told::new();
    while store.strong_count() > 0 {
        if let Err(error) = once(&store, &api, kind, selector.as_deref(), &mut told).await {
            eprintln!(
                "watch of {}: {}; trying again",
                kind.plural(),
                chain(&error)
            );
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Lists, tells what is new since the last list, and follows from there until the server ends it.
async fn once(
    store: &Weak<KubeStore>,
    api: &Api<DynamicObject>,
    kind: ObjectKind,
    selector: Option<&str>,
    told: &mut Told,
) -> Result<(), kube::Error> {
    let mut list = ListParams::default();
    let mut watch = WatchParams::default().timeout(LENGTH);
    if let Some(selector) = selector {
        list = list.fields(selector);
        watch = watch.fields(selector);
    }
    let listed = api.list_metadata(&list).await?;
    let now: Told = listed
        .items
        .iter()
        .map(|object| {
            let meta = &object.metadata;
            let version = meta.resource_version.clone();
            (
                meta.name.clone().unwrap_or_default(),
                version.unwrap_or_default(),
            )
        })
        .collect();
    let gone = told.keys().filter(|name| !now.contains_key(*name));
    let changed = now
        .iter()
        .filter(|(name, version)| told.get(*name) != Some(*version));
    for name in gone.chain(changed.map(|(name, _)| name)) {
        tell(store, kind, name);
    }
    *told = now;

    let from = listed.metadata.resource_version.unwrap_or_default();
    let mut events = api.watch_metadata(&watch, &from).await?.boxed();
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let name = object.metadata.name.unwrap_or_default();
                tell(store, kind, &name);
                told.insert(name, object.metadata.resource_version.unwrap_or_default());
            }
            WatchEvent::Deleted(object) => {
                let name = object.metadata.name.unwrap_or_default();
                tell(store, kind, &name);
                told.remove(&name);
            }
            WatchEvent::Bookmark(_) => {}
            // Too old a version, mostly: the next list finds what was missed.
            WatchEvent::Error(_) => return Ok(()),
        }
        if store.strong_count() == 0 {
            break;
        }
    }
    Ok(())
}

fn tell(store: &Weak<KubeStore>, kind: ObjectKind, name: &str) {
    let name = name.to_owned();
    if let Some(store) = store.upgrade() {
        // Nobody listening is no fault.
        let _ = store.changes.send(Key { kind, name });
    }
}
