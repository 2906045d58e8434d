//! The store in the Kubernetes API: controller and agents meet in custom resources of
//! `storage.ingot.dev/v1alpha1`, whose definitions are in `images/lvm-csi-driver/crds`.
//!
//! Reads are consistent reads (no `resourceVersion` is given), so nothing is decided on a cache;
//! the watch only says what to look at. Versions are the API's own resource versions, which are
//! whole numbers that grow (Kubernetes KEP-5504).

mod client;
mod configuration;
mod resource;
mod watch;

pub use client::{ConnectError, connect};
pub use configuration::Configuration;

use super::{Store, StoreError, Stored};
use crate::object::{Key, Object, ObjectKind};
use ingot_volume_brain::{NodeName, Version};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams, Preconditions};
use kube::{Client, Error};
use std::error::Error as _;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Who uses the store, and so what it may see and write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The controller: sees all; of volumes it writes what is wanted.
    Controller,
    /// The agent of that node: sees the volumes of its node; of them it writes what is there.
    Agent(NodeName),
}

/// Objects in the Kubernetes API.
pub struct KubeStore {
    client: Client,
    role: Role,
    changes: broadcast::Sender<Key>,
}

impl KubeStore {
    /// A store for that role; follows changes as long as it is in use.
    pub fn new(client: Client, role: Role) -> Arc<Self> {
        let store = Arc::new(Self {
            client,
            role,
            changes: broadcast::channel(1024).0,
        });
        watch::follow(&store);
        store
    }

    fn api(&self, kind: ObjectKind) -> Api<DynamicObject> {
        Api::all_with(self.client.clone(), &resource::of(kind))
    }

    /// What of a kind this role looks at.
    fn selector(&self, kind: ObjectKind) -> Option<String> {
        match (&self.role, kind) {
            (Role::Agent(node), kind) if kind != ObjectKind::Group => {
                Some(format!("spec.node={node}"))
            }
            _ => None,
        }
    }

    /// Whether this role writes the status of that kind, and nothing else of it.
    fn reports(&self, kind: ObjectKind) -> bool {
        let wanted = matches!(kind, ObjectKind::Volume | ObjectKind::Snapshot);
        wanted && matches!(self.role, Role::Agent(_))
    }
}

/// What an error of the API means for a write or read of that object.
fn refused(key: &Key, error: &Error) -> StoreError {
    let reason = match error {
        Error::Api(status) => status.reason.as_str(),
        _ => "",
    };
    match reason {
        "AlreadyExists" => StoreError::Exists(key.clone()),
        "NotFound" => StoreError::NotFound(key.clone()),
        "Conflict" => StoreError::Conflict(key.clone()),
        // The same object would be refused again.
        "Invalid" => StoreError::Refused(key.clone(), chain(error)),
        _ => StoreError::Unavailable(format!("{key}: {}", chain(error))),
    }
}

/// An error with its causes: which host, which port, which certificate.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = next.source();
    }
    text
}

fn decoded(key: &Key, object: DynamicObject) -> Result<Stored, StoreError> {
    resource::decode(key.kind, object)
        .map_err(|reason| StoreError::Unavailable(format!("{key}: {reason}")))
}

#[tonic::async_trait]
impl Store for KubeStore {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let found = self.api(key.kind).get_opt(&key.name).await;
        match found.map_err(|error| refused(key, &error))? {
            Some(object) => Ok(Some(decoded(key, object)?)),
            None => Ok(None),
        }
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<(Key, Stored)>, StoreError> {
        let all = ListParams {
            field_selector: self.selector(kind),
            ..ListParams::default()
        };
        let failed = |error| {
            StoreError::Unavailable(format!("list of {}: {}", kind.plural(), chain(&error)))
        };
        let mut found = Vec::new();
        for object in self.api(kind).list(&all).await.map_err(failed)?.items {
            let name = object.metadata.name.clone().unwrap_or_default();
            let key = Key { kind, name };
            let stored = decoded(&key, object)?;
            found.push((key, stored));
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    async fn create(&self, key: &Key, object: Object) -> Result<Version, StoreError> {
        let body = resource::encode(key, None, &object).map_err(StoreError::Unavailable)?;
        let created = self
            .api(key.kind)
            .create(&PostParams::default(), &body)
            .await
            .map_err(|error| refused(key, &error))?;
        Ok(decoded(key, created)?.version)
    }

    async fn update(
        &self,
        key: &Key,
        version: Version,
        object: Object,
    ) -> Result<Version, StoreError> {
        let body =
            resource::encode(key, Some(version), &object).map_err(StoreError::Unavailable)?;
        let api = self.api(key.kind);
        let how = PostParams::default();
        let written = if self.reports(key.kind) {
            api.replace_status(&key.name, &how, &body).await
        } else {
            api.replace(&key.name, &how, &body).await
        };
        Ok(decoded(key, written.map_err(|error| refused(key, &error))?)?.version)
    }

    async fn delete(&self, key: &Key, version: Version) -> Result<(), StoreError> {
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                resource_version: Some(version.0.to_string()),
                uid: None,
            }),
            ..DeleteParams::default()
        };
        let deleted = self.api(key.kind).delete(&key.name, &how).await;
        deleted.map(drop).map_err(|error| refused(key, &error))
    }

    fn watch(&self) -> broadcast::Receiver<Key> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn what_a_definition_forbids_is_told_from_a_server_that_does_not_answer() {
        let key = Key {
            kind: ObjectKind::Volume,
            name: "v-1".into(),
        };
        let words = "spec: Invalid value: a volume never shrinks";
        let status =
            |code, reason| Error::Api(Status::failure(words, reason).with_code(code).boxed());
        let error = refused(&key, &status(422, "Invalid"));
        assert!(
            matches!(&error, StoreError::Refused(of, why) if *of == key && why.contains(words)),
            "{error:?}"
        );
        let error = refused(&key, &status(503, "ServiceUnavailable"));
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
}
