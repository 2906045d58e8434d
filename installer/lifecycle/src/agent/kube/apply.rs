//! Applies objects, and tells refusals apart: an object that is wrong, and an API server that is not
//! ready for it.

use super::{client, words};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde::Deserialize;

/// The name under which our fields are owned (server-side apply).
const MANAGER: &str = "ingot";

/// Why objects were not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// An object is wrong by itself; the same object will be refused again.
    #[error("{0}")]
    Invalid(String),
    /// Anything else; it may pass later.
    #[error("{0}")]
    Failed(String),
}

/// 400 and 422 speak of the object (Kubernetes API conventions, "HTTP Status codes").
fn refusal(what: &str, error: &kube::Error) -> ApplyError {
    let text = format!("the API server refuses {what}: {}", words(error));
    match error {
        kube::Error::Api(status) if matches!(status.code, 400 | 422) => ApplyError::Invalid(text),
        _ => ApplyError::Failed(text),
    }
}

fn malformed(error: &dyn std::fmt::Display) -> ApplyError {
    ApplyError::Invalid(format!("a manifest is not valid: {error}"))
}

/// Applies all objects of `manifests` (YAML documents); returns those that were created or changed.
///
/// # Errors
/// The first object that the API server refuses.
pub async fn apply(manifests: &str) -> Result<Vec<String>, ApplyError> {
    let client = client().await.map_err(ApplyError::Failed)?;
    let mut objects: Vec<DynamicObject> = Vec::new();
    for document in serde_yaml::Deserializer::from_str(manifests) {
        let value = serde_json::Value::deserialize(document).map_err(|e| malformed(&e))?;
        if !value.is_null() {
            objects.push(serde_json::from_value(value).map_err(|e| malformed(&e))?);
        }
    }
    // Objects in a namespace, and objects of a kind, are refused until it is there.
    objects.sort_by_key(rank);
    let mut changed = Vec::new();
    for batch in objects.chunk_by(|a, b| rank(a) == rank(b)) {
        let applied: Vec<Option<String>> = stream::iter(batch.to_vec())
            .map(|object| apply_one(&client, object))
            .buffer_unordered(8)
            .try_collect()
            .await?;
        changed.extend(applied.into_iter().flatten());
    }
    changed.sort();
    Ok(changed)
}

/// What comes first: namespaces, then definitions of kinds.
fn rank(object: &DynamicObject) -> u8 {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    }
}

async fn apply_one(client: &Client, object: DynamicObject) -> Result<Option<String>, ApplyError> {
    let types = object.types.clone().unwrap_or(TypeMeta {
        api_version: String::new(),
        kind: String::new(),
    });
    let name = object.metadata.name.clone().unwrap_or_default();
    let what = format!("{} {name}", types.kind);
    let gvk = GroupVersionKind::try_from(&types)
        .map_err(|error| ApplyError::Invalid(format!("{what}: {error}")))?;
    let resource = ApiResource::from_gvk(&gvk);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let refused = |error| refusal(&what, &error);
    let before = api.get_opt(&name).await.map_err(refused)?;
    let params = PatchParams::apply(MANAGER).force();
    let after = api
        .patch(&name, &params, &Patch::Apply(&object))
        .await
        .map_err(refused)?;
    let same = before.is_some_and(|before| content(before) == content(after));
    Ok((!same).then_some(what))
}

/// What an object says, without what the API server and controllers note on it meanwhile.
fn content(mut object: DynamicObject) -> DynamicObject {
    object.metadata.resource_version = None;
    object.metadata.managed_fields = None;
    object.metadata.generation = None;
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("status");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::{ApplyError, refusal};
    use kube::core::Status;

    fn answer(code: u16) -> ApplyError {
        let status = Status {
            code,
            ..Status::failure("no", "Because")
        };
        refusal("Service dns", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn only_what_speaks_of_the_object_is_final() {
        for code in [400, 422] {
            assert!(matches!(answer(code), ApplyError::Invalid(_)), "{code}");
        }
        // A namespace that is missing, a service account that is missing, a conflict, a server in trouble.
        for code in [404, 403, 409, 429, 500, 503] {
            assert!(matches!(answer(code), ApplyError::Failed(_)), "{code}");
        }
    }
}
