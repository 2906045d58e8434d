//! Whether the tree has the shape of the schema: known fields, right types, required fields there.
//!
//! Walks the tree and the schema together, reports everything that does not fit, and gives back
//! what fits as JSON. Only the parts of JSON Schema that `schema` makes are understood.

use crate::finding::{Mark, Report};
use crate::nearest::nearest;
use crate::tree::{Node, Value};
use serde_json::{Map, Value as Json};

/// The place of a field in a mapping.
pub(crate) fn field(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.into()
    } else {
        format!("{place}.{key}")
    }
}

/// The place of an item in a list.
pub(crate) fn item(place: &str, index: usize) -> String {
    format!("{place}[{index}]")
}

/// How a place is called in a sentence.
fn name(place: &str) -> String {
    if place.is_empty() {
        "the document".into()
    } else {
        format!("`{place}`")
    }
}

/// What of `node` fits `schema`; `None` when it does not fit at all.
pub(crate) fn fit(node: &Node, schema: &Json, report: &mut Report) -> Option<Json> {
    report.locate("", Mark::START, node.mark);
    fit_at(node, schema, "", report)
}

fn fit_at(node: &Node, schema: &Json, place: &str, report: &mut Report) -> Option<Json> {
    let fitting = match &node.value {
        Value::Null => {
            report.error(
                place,
                format!("{} has no value", name(place)),
                "give it one, or remove the field",
            );
            None
        }
        Value::Mapping(_) if has_type(schema, "object") => fit_mapping(node, schema, place, report),
        Value::List(items) if has_type(schema, "array") => fit_list(items, schema, place, report),
        value => match choices(schema) {
            Some(words) => fit_choice(value, &words, place, report),
            None => fit_scalar(node, schema, place, report),
        },
    };
    if fitting.is_none() {
        report.broken(place);
    }
    fitting
}

/// Whether a schema admits a type; one without types admits all.
fn has_type(schema: &Json, kind: &str) -> bool {
    // A whole number is a number (JSON Schema 2020-12, validation, section 6.1.1).
    let is = |one: &Json| one == kind || (one == "number" && kind == "integer");
    match schema.get("type") {
        None => choices(schema).is_none(),
        Some(Json::Array(kinds)) => kinds.iter().any(is),
        Some(one) => is(one),
    }
}

/// The words an enumeration admits.
pub(crate) fn choices(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const") {
        return Some(vec![word.as_str()?]);
    }
    if let Some(Json::Array(words)) = schema.get("enum") {
        return words.iter().map(Json::as_str).collect();
    }
    let Some(Json::Array(all)) = schema.get("oneOf") else {
        return None;
    };
    all.iter().map(|one| one.get("const")?.as_str()).collect()
}

fn fit_choice(value: &Value, words: &[&str], place: &str, report: &mut Report) -> Option<Json> {
    if let Value::Text(text) = value
        && words.contains(&text.as_str())
    {
        return Some(Json::String(text.clone()));
    }
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let meant = match value {
        Value::Text(text) => nearest(text, words.iter().copied()),
        _ => None,
    };
    let next = match (meant, quoted.as_slice()) {
        (Some(word), _) => format!("did you mean `{word}`?"),
        (None, [only]) => format!("write {only}"),
        (None, _) => format!("write one of {}", quoted.join(", ")),
    };
    report.error(
        place,
        format!(
            "{} is not {}, found {}",
            name(place),
            quoted.join(" or "),
            value.describe()
        ),
        next,
    );
    None
}

fn fit_scalar(node: &Node, schema: &Json, place: &str, report: &mut Report) -> Option<Json> {
    let kind = match &node.value {
        Value::Bool(_) => "boolean",
        Value::Integer(_) => "integer",
        Value::Number(..) => "number",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Mapping(_) => "object",
        Value::Null => "null",
    };
    if !has_type(schema, kind) {
        let (wanted, next) = wanted(schema, &node.value);
        report.error(
            place,
            format!(
                "{} must be {wanted}, found {}",
                name(place),
                node.value.describe()
            ),
            next,
        );
        return None;
    }
    // Where a number may have a fraction, what it may be is for its own check to say.
    if let Value::Integer(value) = node.value
        && !has_type(schema, "number")
    {
        let limit = |key: &str| schema.get(key).and_then(Json::as_i64);
        let (least, most) = (
            limit("minimum").unwrap_or(i64::MIN),
            limit("maximum").unwrap_or(i64::MAX),
        );
        if !(least..=most).contains(&value) {
            let what = format!("{} is {value}, out of range", name(place));
            report.error(place, what, format!("use a number from {least} to {most}"));
            return None;
        }
    }
    Some(node.to_json())
}

/// What a schema wants, in words, and what to do about `found`.
fn wanted(schema: &Json, found: &Value) -> (&'static str, &'static str) {
    let scalar = matches!(
        found,
        Value::Bool(_) | Value::Integer(_) | Value::Number(..)
    );
    match schema.get("type").and_then(Json::as_str) {
        Some("string") if scalar => ("text", "put it in quotes"),
        Some("string") => ("text", "write one value on the line of the field"),
        Some("integer") => ("a whole number", "write digits only, without quotes"),
        Some("number") => (
            "a number",
            "write digits and at most one point, without quotes",
        ),
        Some("boolean") => ("true or false", "write `true` or `false`, without quotes"),
        Some("array") => ("a list", "begin each of its items with `- `"),
        Some("object") => ("a mapping", "write its fields below it, indented"),
        _ => (
            "text, a whole number, or true or false",
            "write one value on the line of the field",
        ),
    }
}

fn fit_list(items: &[Node], schema: &Json, place: &str, report: &mut Report) -> Option<Json> {
    let any = Json::Bool(true);
    let of = schema.get("items").unwrap_or(&any);
    let mut fitting = Vec::new();
    for (index, node) in items.iter().enumerate() {
        let place = item(place, index);
        report.locate(&place, node.mark, node.mark);
        // What does not fit keeps its index, so that the places of the others stay true.
        fitting.push(fit_at(node, of, &place, report).unwrap_or(Json::Null));
    }
    Some(Json::Array(fitting))
}

fn fit_mapping(node: &Node, schema: &Json, place: &str, report: &mut Report) -> Option<Json> {
    let Value::Mapping(entries) = &node.value else {
        return None;
    };
    let none = Map::new();
    let known = schema
        .get("properties")
        .and_then(Json::as_object)
        .unwrap_or(&none);
    let closed = Json::Bool(false);
    let others = match schema.get("additionalProperties") {
        Some(others) => Some(others).filter(|others| **others != closed),
        None => Some(&Json::Bool(true)),
    };
    let mut fitting = Map::new();
    for entry in entries {
        let place = field(place, &entry.key);
        report.locate(&place, entry.key_mark, entry.value.mark);
        match known.get(&entry.key).or(others) {
            Some(Json::Bool(_)) => {
                locate_all(&entry.value, &place, report);
                fitting.insert(entry.key.clone(), entry.value.to_json());
            }
            Some(schema) => {
                if let Some(value) = fit_at(&entry.value, schema, &place, report) {
                    fitting.insert(entry.key.clone(), value);
                }
            }
            None => unknown(&entry.key, known, &place, report),
        }
    }
    let required = schema
        .get("required")
        .and_then(Json::as_array)
        .into_iter()
        .flatten();
    for key in required.filter_map(Json::as_str) {
        if !entries.iter().any(|entry| entry.key == key) {
            let hint = known
                .get(key)
                .and_then(|schema| schema.get("description")?.as_str());
            let meaning = hint.map(first_sentence).unwrap_or_default();
            report.error(
                place,
                format!("{} lacks `{key}`", name(place)),
                format!("add it: {meaning}"),
            );
            report.broken(&field(place, key));
        }
    }
    Some(Json::Object(fitting))
}

fn unknown(key: &str, known: &Map<String, Json>, place: &str, report: &mut Report) {
    let parent = place
        .strip_suffix(key)
        .and_then(|parent| parent.strip_suffix('.'))
        .unwrap_or_default();
    let next = match nearest(key, known.keys().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let names: Vec<String> = known.keys().map(|name| format!("`{name}`")).collect();
            format!("remove it; known here are {}", names.join(", "))
        }
    };
    report.key_error(
        place,
        format!("{} has no field `{key}`", name(parent)),
        next,
    );
    report.broken(place);
}

/// The beginning of a description, as the end of a sentence.
fn first_sentence(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let first = joined.split(['.', ';']).next().unwrap_or_default();
    let mut letters = first.chars();
    letters
        .next()
        .map(|letter| letter.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

fn locate_all(node: &Node, place: &str, report: &mut Report) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                let place = field(place, &entry.key);
                report.locate(&place, entry.key_mark, entry.value.mark);
                locate_all(&entry.value, &place, report);
            }
        }
        Value::List(items) => {
            for (index, node) in items.iter().enumerate() {
                let place = item(place, index);
                report.locate(&place, node.mark, node.mark);
                locate_all(node, &place, report);
            }
        }
        _ => {}
    }
}
