//! A node's configuration in the API: the StorageNode with the name of the node.

use super::{chain, resource};
use crate::config::{ConfigError, NodeConfig};
use futures::{StreamExt, TryStreamExt};
use ingot_volume_brain::NodeName;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Client, Error};
use serde_json::{Value, json};
use std::time::Duration;

/// The pause before a failed look is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// The configuration of one node.
pub struct Configuration {
    api: Api<DynamicObject>,
    node: NodeName,
}

impl Configuration {
    /// The configuration of that node; nothing is read yet.
    pub fn of(client: Client, node: NodeName) -> Self {
        let resource = resource::resource("StorageNode", "storagenodes");
        Self {
            api: Api::all_with(client, &resource),
            node,
        }
    }

    /// Waits until there is one that can be used. Says in its status why one cannot.
    pub async fn wait(&self) -> NodeConfig {
        let mut said = None;
        loop {
            let (found, seen) = match self.look().await {
                Ok(found) => found,
                Err(error) => {
                    eprintln!("StorageNode {}: {}; trying again", self.node, chain(&error));
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let message = match found.as_ref().map(|spec| self.read(spec)) {
                Some(Ok(config)) => {
                    self.say("").await;
                    return config;
                }
                Some(Err(error)) => {
                    let text = error.to_string();
                    self.say(&text).await;
                    text
                }
                None => "there is none; this node gives no disks".into(),
            };
            if said.as_ref() != Some(&message) {
                eprintln!("StorageNode {}: {message}", self.node);
                said = Some(message);
            }
            self.changed(found.as_ref(), &seen).await;
        }
    }

    /// Waits until it is not what it was.
    pub async fn replaced(&self, config: &NodeConfig) {
        loop {
            match self.look().await {
                Ok((found, seen)) => {
                    let same = |spec: &Value| self.read(spec).is_ok_and(|read| read == *config);
                    if !found.as_ref().is_some_and(same) {
                        return;
                    }
                    self.changed(found.as_ref(), &seen).await;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// What it says now, and the version of the list it was in.
    async fn look(&self) -> Result<(Option<Value>, String), Error> {
        let listed = self.api.list(&self.ours()).await?;
        let seen = listed.metadata.resource_version.unwrap_or_default();
        let found = listed.items.into_iter().next();
        Ok((found.map(|mut object| object.data["spec"].take()), seen))
    }

    fn ours(&self) -> ListParams {
        ListParams::default().fields(&format!("metadata.name={}", self.node))
    }

    /// Returns when the specification is another, or a look at it is due.
    async fn changed(&self, spec: Option<&Value>, seen: &str) {
        let ours = WatchParams::default()
            .fields(&format!("metadata.name={}", self.node))
            .timeout(super::watch::LENGTH);
        let Ok(events) = self.api.watch(&ours, seen).await else {
            return tokio::time::sleep(PAUSE).await;
        };
        let mut events = events.boxed();
        // Our own words in its status are no change.
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object)
                    if Some(&object.data["spec"]) == spec => {}
                WatchEvent::Bookmark(_) => {}
                _ => return,
            }
        }
    }

    fn read(&self, spec: &Value) -> Result<NodeConfig, ConfigError> {
        let mut named = spec.clone();
        named["node"] = self.node.to_string().into();
        let config: NodeConfig =
            serde_json::from_value(named).map_err(|error| ConfigError::Object {
                node: self.node.to_string(),
                reason: error.to_string(),
            })?;
        config.check()?;
        Ok(config)
    }

    async fn say(&self, message: &str) {
        let status = Patch::Merge(json!({ "status": { "message": message } }));
        let name = self.node.to_string();
        let how = PatchParams::default();
        if let Err(error) = self.api.patch_status(&name, &how, &status).await {
            eprintln!("status of StorageNode {name}: {}", chain(&error));
        }
    }
}
