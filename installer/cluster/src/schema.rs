//! The JSON Schema (draft 2020-12) of cluster.yaml, made from the types of `spec`.
//!
//! Never written by hand: the file under docs/reference is this, and a test compares them.

use crate::spec::Document;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::Value;
use std::collections::BTreeMap;

/// The schema of cluster.yaml, without references.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(Plain);
    let mut generator = settings.into_generator();
    let mut schema = Document::json_schema(&mut generator);
    for transform in generator.transforms_mut() {
        transform.transform(&mut schema);
    }
    schema.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert(
        "$id".into(),
        "https://ingot.dev/schemas/v1alpha1/cluster.json".into(),
    );
    schema.insert("title".into(), "Ingot cluster.yaml".into());
    sorted(schema.to_value())
}

/// The same with all fields by the alphabet, whether or not another crate of the program makes
/// serde_json keep the order of insertion.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().collect();
            Value::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key, sorted(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}

/// Takes away what the derive adds for Rust's sake: null beside every optional value (a field
/// without a value is refused), empty defaults, and the names of Rust's integers.
#[derive(Debug, Clone)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".into(), only);
            }
        }
        if object.get("anyOf").is_some_and(Value::is_null) {
            object.remove("anyOf");
        }
        if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
            choices.retain(|choice| choice.get("type").is_none_or(|kind| kind != "null"));
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                object.remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
        }
        if object.get("default").is_some_and(Value::is_null) {
            object.remove("default");
        }
        object.remove("format");
        // The names of Rust's types would only repeat the names of the fields.
        object.remove("title");
    }
}
