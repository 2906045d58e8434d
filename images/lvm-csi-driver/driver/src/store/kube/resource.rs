//! Objects as custom resources: what is wanted is the `spec`, what the owner reports the `status`.

use crate::object::{Key, Object, ObjectKind};
use crate::store::Stored;
use ingot_volume_brain::Version;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{ApiResource, TypeMeta};
use serde_json::{Map, Value};

/// The group of the definitions.
pub const GROUP: &str = "storage.ingot.dev";
/// Their version.
pub const VERSION: &str = "v1alpha1";
/// The fields of a volume that its owner reports.
const REPORT: [&str; 3] = ["report", "message", "inUse"];
/// Those of them that are beside the report in the status.
const BESIDE: [&str; 2] = ["message", "inUse"];

/// Name of the kind in the API, and of the variant of [`Object`] that holds it.
fn names(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Volume => ("Volume", "Volume"),
        ObjectKind::Snapshot => ("Snapshot", "Volume"),
        ObjectKind::Group => ("GroupSnapshot", "Group"),
        ObjectKind::Pool => ("NodePool", "Pool"),
        ObjectKind::Disk => ("Disk", "Disk"),
    }
}

/// Where objects of a kind are in the API.
pub fn of(kind: ObjectKind) -> ApiResource {
    resource(names(kind).0, kind.plural())
}

/// Where objects with that kind and plural are in the API.
pub fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: GROUP.into(),
        version: VERSION.into(),
        api_version: format!("{GROUP}/{VERSION}"),
        kind: kind.into(),
        plural: plural.into(),
    }
}

/// The resource to write; with a version, in place of the one that has it.
pub fn encode(
    key: &Key,
    version: Option<Version>,
    object: &Object,
) -> Result<DynamicObject, String> {
    let Value::Object(mut spec) =
        without_nulls(serde_json::to_value(object).map_err(|error| format!("{key}: {error}"))?)
    else {
        return Err(format!("{key} is not a JSON object"));
    };
    spec.remove("object");
    let mut data = Map::new();
    if matches!(key.kind, ObjectKind::Volume | ObjectKind::Snapshot) {
        let mut status = match spec.remove("report") {
            Some(Value::Object(report)) => report,
            _ => Map::new(),
        };
        for name in BESIDE {
            status.extend(spec.remove(name).map(|value| (name.to_owned(), value)));
        }
        data.insert("status".into(), status.into());
    }
    data.insert("spec".into(), spec.into());
    let resource = of(key.kind);
    Ok(DynamicObject {
        types: Some(TypeMeta {
            api_version: resource.api_version,
            kind: resource.kind,
        }),
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            resource_version: version.map(|version| version.0.to_string()),
            ..ObjectMeta::default()
        },
        data: data.into(),
    })
}

/// The object in a resource, and its version.
pub fn decode(kind: ObjectKind, resource: DynamicObject) -> Result<Stored, String> {
    let version = resource.metadata.resource_version.unwrap_or_default();
    let version = version
        .parse()
        .map(Version)
        .map_err(|_| format!("its resource version {version:?} is not a number"))?;
    let mut data = resource.data;
    let Value::Object(mut fields) = data["spec"].take() else {
        return Err("it has no spec".into());
    };
    for reported in REPORT {
        fields.remove(reported);
    }
    if let Value::Object(mut status) = data["status"].take() {
        for name in BESIDE {
            fields.extend(status.remove(name).map(|value| (name.to_owned(), value)));
        }
        // The API takes no status when an object is made: there is none before the first report.
        if status.contains_key("phase") {
            fields.insert("report".into(), status.into());
        }
    }
    fields.insert("object".into(), names(kind).1.into());
    let object = serde_json::from_value(fields.into()).map_err(|error| error.to_string())?;
    Ok(Stored { version, object })
}

/// The API refuses null where a definition names a type; a field that is not there means the same.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
