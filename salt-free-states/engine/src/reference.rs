//! The reference of the kinds, docs/reference/states.md: made from their types, compared here.
//!
//! Only in tests: a program that applies states has no use for the page.

use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# States

<!-- Generated from salt-free-states/engine/src/resource. Do not edit: `UPDATE_GOLDEN=1 cargo test --release -p ingot-engine` writes it. -->

A state is a directory of the catalog with a `state.yaml` and, where it needs them, templates below
`files/`. The document is rendered with tera and the settings of the host, and then read as YAML:

```yaml
description: What the state is for.
resources:
  - id: config
    file: { path: /etc/example.conf, template: example.conf.tera, mode: \"0640\" }
  - id: service
    service: { unit: example.service }
    require: [config]
    watch: [config]
```

Each resource has an `id`, unique in its state, and one kind. Its requisites are lists of ids;
`<state>/<id>` names one of another state.

| Requisite | Meaning |
|---|---|
| `require` | These must hold before; when one of them fails, the resource is left alone. |
| `watch` | As `require`, and a change of one of them makes the resource react: a service restarts. |
| `onchanges` | As `require`, and the resource is applied only when one of them changed. |

Unknown kinds, unknown fields, requisites that name nothing and requisites that lead in a circle are
refused with file and line before anything is changed.
";

/// What documents add to the fields of a kind.
const EXTRA: [(&str, &str); 1] = [(
    "file",
    "\nInstead of `content`, `template` names a file below `files/` that is rendered with the settings\n(and with the values below `with`), and `source` names one that is taken as it is.\n",
)];

fn kind_of(schema: &Value) -> String {
    let name = |kind: &Value| match kind.as_str().unwrap_or_default() {
        "string" => "text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "number".to_owned(),
        "array" => format!("list of {}s", kind_of(&schema["items"])),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::Array(kinds) => {
            let kinds: Vec<String> = kinds
                .iter()
                .filter(|kind| **kind != "null")
                .map(name)
                .collect();
            kinds.join(" or ")
        }
        Value::Null => "text".into(),
        kind => name(kind),
    }
}

fn line(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (kind, schema) in crate::resource::schemas() {
        let schema = schema.to_value();
        let _ = write!(page, "\n## `{kind}`\n\n{}\n", line(&schema));
        for (_, text) in EXTRA.iter().filter(|(name, _)| *name == kind) {
            page.push_str(text);
        }
        page.push_str("\n| Field | Type | | Meaning |\n|---|---|---|---|\n");
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let is_required = |name: &str| required.iter().any(|one| one == name);
        let fields = schema["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
        fields.sort_by_key(|(name, _)| (!is_required(name), name.clone()));
        for (name, field) in &fields {
            let need = if is_required(name) {
                "**required**"
            } else {
                ""
            };
            let _ = writeln!(
                page,
                "| `{name}` | {} | {need} | {} |",
                kind_of(field),
                line(field)
            );
        }
    }
    page
}

#[test]
fn the_reference_of_states_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/states.md");
    let made = page();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "docs/reference/states.md is not what the types make; UPDATE_GOLDEN=1 rewrites it"
    );
}

#[test]
fn every_kind_and_field_says_what_it_means() {
    for (kind, schema) in crate::resource::schemas() {
        let schema = schema.to_value();
        assert!(!line(&schema).is_empty(), "{kind}");
        for (name, field) in schema["properties"].as_object().unwrap() {
            assert!(
                !line(field).is_empty() || field.get("$ref").is_some(),
                "{kind}.{name}"
            );
        }
    }
}
