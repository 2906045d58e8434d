//! A YAML document as a tree in which everything knows its line and column.
//!
//! Never interprets a field; that is the shape's and the checks' work.

use crate::finding::Mark;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

/// A value by the core schema of YAML 1.2.2, section 10.3.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// Every other number, as it is written and as JSON writes it.
    Number(String, serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A field of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_mark: Mark,
    pub(crate) value: Node,
}

impl Value {
    /// A plain (unquoted) scalar by the rules of the core schema.
    pub(crate) fn plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" => Self::Bool(true),
            "false" | "False" | "FALSE" => Self::Bool(false),
            _ => Self::number(text).unwrap_or_else(|| Self::Text(text.into())),
        }
    }

    fn number(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let radix = [("0x", 16), ("0o", 8)];
        for (prefix, base) in radix {
            if let Some(rest) = text.strip_prefix(prefix) {
                return i64::from_str_radix(rest, base).ok().map(Self::Integer);
            }
        }
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        if digits.chars().all(|c| c.is_ascii_digit())
            && let Ok(integer) = text.parse()
        {
            return Some(Self::Integer(integer));
        }
        let inner = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        if !digits.chars().all(inner) || !digits.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let number = serde_json::Number::from_f64(text.parse().ok()?)?;
        Some(Self::Number(text.into(), number))
    }

    /// What it is, for a sentence that begins with "found".
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(value) => format!("the truth value {value}"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Number(text, _) => format!("the number {text}"),
            Self::Text(text) => format!("the text `{}`", shorten(text)),
            Self::List(_) => "a list".into(),
            Self::Mapping(_) => "a mapping".into(),
        }
    }
}

/// The beginning of a text that would drown the message it is quoted in.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(64).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Node {
    /// The same value without marks.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => Json::Number((*value).into()),
            Value::Number(_, number) => Json::Number(number.clone()),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Mapping(entries) => Json::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        assert_eq!(Value::plain("~"), Value::Null);
        assert_eq!(Value::plain("true"), Value::Bool(true));
        assert_eq!(Value::plain("-12"), Value::Integer(-12));
        assert_eq!(Value::plain("0x1F"), Value::Integer(31));
        assert_eq!(Value::plain("0o17"), Value::Integer(15));
        assert!(matches!(Value::plain("1.5e3"), Value::Number(..)));
        for text in [
            "yes",
            "10.0.0.1",
            "10.233.0.0/16",
            "1e",
            "-",
            ".",
            "v1",
            "fd00::1",
            "12:30",
            "2026-01-01",
        ] {
            assert_eq!(Value::plain(text), Value::Text(text.into()), "{text}");
        }
    }
}
