//! The reference of cluster.yaml as Markdown, made from the schema: one table a mapping.
//!
//! Never written by hand: the page under docs/reference is this, and a test compares them.

use crate::schema::schema;
use crate::shape::choices;
use serde_json::{Map, Value};
use std::fmt::Write;

const HEAD: &str = "\
# cluster.yaml

<!-- Generated from installer/cluster/src/spec.rs. Do not edit: `UPDATE_GOLDEN=1 cargo test --release -p ingot-cluster` writes it. -->

One document describes one cluster. Editors check it against
[cluster.schema.json](cluster.schema.json) (JSON Schema, draft 2020-12). Unknown fields, duplicate
keys and fields without a value are refused. Paths are relative to the directory of the file.

A whole one, with three control planes:

```yaml
{{#include ../guides/examples/three-control-planes.yaml}}
```
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "", &schema());
    page
}

/// The table of a mapping, and after it those of the mappings in it.
fn section(page: &mut String, place: &str, schema: &Value) {
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let title = if place.is_empty() {
        "The document".into()
    } else {
        format!("`{place}`")
    };
    let about = description(schema);
    let _ = write!(
        page,
        "\n## {title}\n\n{about}\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n"
    );
    let sorted = by_need(fields, schema);
    for (name, field, required) in &sorted {
        let default = match field.get("default") {
            _ if *required => "**required**".into(),
            Some(Value::String(text)) => format!("`{text}`"),
            Some(value) => format!("`{value}`"),
            None => String::new(),
        };
        let _ = writeln!(
            page,
            "| `{name}` | {} | {default} | {} |",
            kind(field),
            meaning(field)
        );
    }
    for (name, field, _) in &sorted {
        let place = if place.is_empty() {
            (*name).clone()
        } else {
            format!("{place}.{name}")
        };
        match field.get("items") {
            Some(items) => section(page, &format!("{place}[]"), items),
            None => section(page, &place, field),
        }
    }
}

/// The required fields, then the others; both by the alphabet.
fn by_need<'s>(
    fields: &'s Map<String, Value>,
    schema: &Value,
) -> Vec<(&'s String, &'s Value, bool)> {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|names| names.iter().any(|one| one == name));
    let mut sorted: Vec<_> = fields
        .iter()
        .map(|(name, field)| (name, field, is_required(name)))
        .collect();
    sorted.sort_by_key(|(name, _, required)| (!required, name.as_str()));
    sorted
}

/// A description on one line.
fn description(schema: &Value) -> String {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a field means, and what each word it admits does.
fn meaning(field: &Value) -> String {
    let mut text = description(field);
    let words = field
        .get("oneOf")
        .or_else(|| field.get("items")?.get("oneOf"));
    for word in words.and_then(Value::as_array).into_iter().flatten() {
        if let Some(name) = word.get("const").and_then(Value::as_str) {
            let about = description(word);
            let about = about.trim_end_matches('.');
            let _ = write!(text, "<br>`{name}`: {about}.");
        }
    }
    text.replace('|', "\\|")
}

fn kind(field: &Value) -> String {
    if choices(field).is_some() {
        return "word".into();
    }
    let names: Vec<&str> = match field.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return "any".into(),
    };
    let words: Vec<String> = names.into_iter().map(|name| word(name, field)).collect();
    words.join(" or ")
}

fn word(name: &str, field: &Value) -> String {
    match name {
        "string" => "text".into(),
        "boolean" => "true or false".into(),
        "integer" => {
            let limit = |key: &str| field.get(key).and_then(Value::as_i64);
            match (limit("minimum"), limit("maximum")) {
                (Some(least), Some(most)) => format!("number, {least} to {most}"),
                _ => "number".into(),
            }
        }
        "array" => format!(
            "list of {}s",
            field.get("items").map(kind).unwrap_or_default()
        ),
        "object" if field.get("properties").is_some() => "mapping".into(),
        "object" => {
            let values = field
                .get("additionalProperties")
                .map(kind)
                .unwrap_or_default();
            format!("mapping of names to {values}")
        }
        other => other.into(),
    }
}
