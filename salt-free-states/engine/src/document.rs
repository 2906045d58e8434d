//! From a state's text to declared resources: render with tera, parse, name every mistake.
//!
//! The document is rendered as a whole with the host's settings and then read as YAML. Templates of
//! files are rendered here too, so a declared resource holds everything that will be written and no
//! later step renders or chooses anything. Nothing touches the host here.

use crate::catalog::{Catalog, CatalogError};
use crate::resource::{KINDS, Resource};
use serde_yaml::Value;
use std::collections::BTreeMap;

/// The settings of a host that states are rendered with.
pub type Settings = serde_json::Value;

/// A resource as a state declares it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// `<state>/<id>`, unique in a set of states.
    pub id: String,
    /// Where it stands: file and line of the rendered document.
    pub origin: Origin,
    /// What it is.
    pub resource: Resource,
    /// Ids that must hold before this one is touched.
    pub require: Vec<String>,
    /// Ids that must hold before, and whose change makes this one react (a service restarts).
    pub watch: Vec<String>,
    /// Ids that must hold before; this one is applied only when one of them changed.
    pub onchanges: Vec<String>,
}

/// A place in a state document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The path in the catalog.
    pub file: String,
    /// The line after rendering, from 1.
    pub line: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A state document that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A state or a file of it is not in the catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Tera refused the text: a syntax error, or a setting that was not given.
    #[error("cannot render {file}: {reason}")]
    Render {
        /// The path in the catalog.
        file: String,
        /// Tera's chain of reasons.
        reason: String,
    },
    /// The rendered document is not a list of resources.
    #[error("{origin}: {reason}")]
    Parse {
        /// Where.
        origin: Origin,
        /// What is wrong there.
        reason: String,
    },
}

/// Loads the named states, rendered with `settings`, in order.
///
/// # Errors
/// The first state that is absent, cannot be rendered or is not valid.
pub fn load(
    catalog: &Catalog,
    states: &[String],
    settings: &Settings,
) -> Result<Vec<Declared>, DocumentError> {
    let mut all = Vec::new();
    for state in states {
        let file = format!("{state}/state.yaml");
        let text = render(&file, catalog.state(state)?, settings, &BTreeMap::new())?;
        all.extend(parse(catalog, state, &file, &text, settings)?);
    }
    Ok(all)
}

/// Renders one template. `extra` adds values that only this file gets.
fn render(
    file: &str,
    text: &str,
    settings: &Settings,
    extra: &BTreeMap<String, Value>,
) -> Result<String, DocumentError> {
    let failed = |error: tera::Error| {
        let mut reason = String::new();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            // Tera names its internal template first; the reader knows the file already.
            let text = error.to_string();
            if !text.starts_with("Failed to render '__tera_one_off'")
                && !text.starts_with("Failed to parse '__tera_one_off'")
            {
                reason = if reason.is_empty() {
                    text
                } else {
                    format!("{reason}: {text}")
                };
            }
            cause = error.source();
        }
        DocumentError::Render {
            file: file.into(),
            reason,
        }
    };
    let mut context = tera::Context::from_serialize(settings).map_err(failed)?;
    for (name, value) in extra {
        context.insert(name, value);
    }
    // No escaping: the output is configuration, not HTML.
    tera::Tera::one_off(text, &context, false).map_err(failed)
}

fn parse(
    catalog: &Catalog,
    state: &str,
    file: &str,
    text: &str,
    settings: &Settings,
) -> Result<Vec<Declared>, DocumentError> {
    let at = |line: usize, reason: String| DocumentError::Parse {
        origin: Origin {
            file: file.into(),
            line,
        },
        reason,
    };
    let document: Value = serde_yaml::from_str(text).map_err(|error| {
        at(
            error.location().map_or(1, |l| l.line()),
            format!("not valid YAML: {error}"),
        )
    })?;
    let mapping = document.as_mapping();
    for key in mapping.iter().flat_map(|m| m.keys()) {
        let key = key.as_str().unwrap_or_default();
        if !["description", "resources"].contains(&key) {
            return Err(at(
                1,
                format!("unknown field `{key}`; a state has `description` and `resources`"),
            ));
        }
    }
    let Some(list) = mapping.and_then(|m| m.get("resources")) else {
        return Err(at(1, "a state needs a list named `resources`".into()));
    };
    if list.is_null() {
        return Ok(Vec::new());
    }
    let list = list
        .as_sequence()
        .ok_or_else(|| at(1, "`resources` must be a list".into()))?;
    let mut lines = text
        .lines()
        .enumerate()
        .filter(|(_, l)| l.trim_start().starts_with("- id:"));
    let mut declared = Vec::with_capacity(list.len());
    for item in list {
        let line = lines.next().map_or(1, |(n, _)| n + 1);
        let origin = Origin {
            file: file.into(),
            line,
        };
        declared.push(one(catalog, state, item, settings, origin)?);
    }
    Ok(declared)
}

fn one(
    catalog: &Catalog,
    state: &str,
    item: &Value,
    settings: &Settings,
    origin: Origin,
) -> Result<Declared, DocumentError> {
    let fail = |reason: String| DocumentError::Parse {
        origin: origin.clone(),
        reason,
    };
    let map = item
        .as_mapping()
        .ok_or_else(|| fail("each resource must be a mapping that begins with `- id:`".into()))?;
    let mut id = None;
    let mut kind: Option<(&str, Value)> = None;
    let mut requisites = [Vec::new(), Vec::new(), Vec::new()];
    for (key, value) in map {
        let key = key
            .as_str()
            .ok_or_else(|| fail("field names must be text".into()))?;
        match key {
            "id" => id = value.as_str(),
            "require" => requisites[0] = references(state, value).map_err(&fail)?,
            "watch" => requisites[1] = references(state, value).map_err(&fail)?,
            "onchanges" => requisites[2] = references(state, value).map_err(&fail)?,
            _ if KINDS.contains(&key) => {
                if let Some((first, _)) = &kind {
                    return Err(fail(format!(
                        "a resource has one kind, this one has `{first}` and `{key}`"
                    )));
                }
                kind = Some((key, value.clone()));
            }
            _ => {
                return Err(fail(format!(
                    "unknown resource kind `{key}`; the kinds are: {}",
                    KINDS.join(", ")
                )));
            }
        }
    }
    let id = id.ok_or_else(|| fail("a resource needs an `id`".into()))?;
    let (kind, mut body) = kind.ok_or_else(|| {
        fail(format!(
            "`{id}` has no kind; the kinds are: {}",
            KINDS.join(", ")
        ))
    })?;
    if kind == "file" {
        inline(catalog, state, &mut body, settings)?;
    }
    let resource = Resource::parse(kind, body)
        .map_err(|error| fail(format!("`{id}` is not a valid `{kind}`: {error}")))?;
    let [require, watch, onchanges] = requisites;
    Ok(Declared {
        id: format!("{state}/{id}"),
        origin,
        resource,
        require,
        watch,
        onchanges,
    })
}

/// Requisites name resources of their own state, or `<state>/<id>` of another.
fn references(state: &str, value: &Value) -> Result<Vec<String>, String> {
    let list = value
        .as_sequence()
        .ok_or("requisites are lists of ids: `require: [a, b]`")?;
    list.iter()
        .map(|entry| {
            let name = entry
                .as_str()
                .ok_or("requisites are lists of ids: `require: [a, b]`")?;
            Ok(if name.contains('/') {
                name.into()
            } else {
                format!("{state}/{name}")
            })
        })
        .collect()
}

/// Replaces `template:`/`source:` (and `with:`) of a file by the `content:` they give.
fn inline(
    catalog: &Catalog,
    state: &str,
    body: &mut Value,
    settings: &Settings,
) -> Result<(), DocumentError> {
    let Some(map) = body.as_mapping_mut() else {
        return Ok(());
    };
    let extra: BTreeMap<String, Value> = map
        .remove("with")
        .and_then(|with| serde_yaml::from_value(with).ok())
        .unwrap_or_default();
    if let Some(Value::String(name)) = map.remove("template") {
        let path = format!("{state}/files/{name}");
        let text = render(&path, catalog.file(state, &name)?, settings, &extra)?;
        map.insert("content".into(), text.into());
    } else if let Some(Value::String(name)) = map.remove("source") {
        map.insert("content".into(), catalog.file(state, &name)?.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
