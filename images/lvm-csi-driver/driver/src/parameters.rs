//! Parameters of storage classes and volume attribute classes: read once, refused by name.

use crate::capability;
use crate::problem::Problem;
use ingot_lvm::{Filesystem, Key, Layout, Limits};
use ingot_volume_brain::LvName;
use std::collections::HashMap;

/// What a storage class says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassParameters {
    /// The pool; any that fits, if there is only one on the node.
    pub pool: Option<String>,
    /// The layout; by the pool, if open.
    pub layout: Option<Arrangement>,
    /// Encrypted with LUKS2.
    pub encrypted: bool,
    /// The filesystem.
    pub filesystem: Option<Filesystem>,
}

/// A layout that still lacks the name of its thin pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrangement {
    /// In the thin pool.
    Thin,
    /// On the disks.
    Thick(Layout),
}

impl Arrangement {
    /// The layout in a pool with that thin pool, if the two go together.
    pub fn layout(this: Option<&Self>, thin: Option<&LvName>) -> Option<Layout> {
        match (this, thin) {
            (None | Some(Self::Thin), Some(pool)) => Some(Layout::Thin { pool: pool.clone() }),
            (Some(Self::Thin), None) => None,
            (None, None) => Some(Layout::Linear),
            (Some(Self::Thick(layout)), _) => Some(layout.clone()),
        }
    }
}

/// What sidecars add for their own use.
const SIDECARS: &str = "csi.storage.k8s.io/";

fn foreign(name: &str) -> bool {
    name.starts_with(SIDECARS) && name != "csi.storage.k8s.io/fstype"
}

fn wrong(name: &str, value: &str, remedy: &str) -> Problem {
    Problem::Invalid(format!(
        "parameter {name}: {value:?} is not possible; {remedy}"
    ))
}

impl ClassParameters {
    /// Reads the parameters of a storage class.
    pub fn parse(parameters: &HashMap<String, String>) -> Result<Self, Problem> {
        let mut class = Self::default();
        let (mut layout, mut stripes, mut copies, mut integrity) = (None, None, None, None);
        let mut names: Vec<_> = parameters
            .iter()
            .filter(|(name, _)| !foreign(name))
            .collect();
        // The first complaint is always the same one.
        names.sort();
        for (name, value) in names {
            let number = || {
                let number = value.parse::<u32>();
                number
                    .map(Some)
                    .map_err(|_| wrong(name, value, "write a number"))
            };
            let truth = || match value.as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(wrong(name, value, "write \"true\" or \"false\"")),
            };
            match name.as_str() {
                "pool" => class.pool = Some(value.clone()),
                "layout" => layout = Some(value.as_str()),
                "stripes" => stripes = number()?,
                "copies" => copies = number()?,
                "encrypted" => class.encrypted = truth()?,
                "integrity" => integrity = Some(truth()?),
                "fstype" | "csi.storage.k8s.io/fstype" => {
                    class.filesystem = capability::filesystem(value)?;
                }
                _ => {
                    return Err(Problem::Invalid(format!(
                        "parameter {name:?} is not known; known are pool, layout, stripes, copies, integrity, encrypted and fstype"
                    )));
                }
            }
        }
        class.layout = checked(arrangement(layout, stripes, copies)?, integrity)?;
        Ok(class)
    }
}

fn arrangement(
    layout: Option<&str>,
    stripes: Option<u32>,
    copies: Option<u32>,
) -> Result<Option<Arrangement>, Problem> {
    let thick = |layout: Result<Layout, ingot_lvm::LayoutError>| {
        let layout = layout.map_err(|error| Problem::Invalid(format!("parameter layout: {error}")));
        layout.map(|layout| Some(Arrangement::Thick(layout)))
    };
    let (spread, copied) = match layout {
        Some("striped" | "raid5" | "raid10") => (true, false),
        Some("raid1") => (false, true),
        _ => (false, false),
    };
    if stripes.is_some() && !spread {
        return Err(Problem::Invalid(
            "parameter stripes goes with layout striped, raid5 or raid10; take it out or set layout"
                .into(),
        ));
    }
    if copies.is_some() && !copied {
        return Err(Problem::Invalid(
            "parameter copies goes with layout raid1; take it out or set layout".into(),
        ));
    }
    let stripes = stripes.unwrap_or(2);
    match layout {
        None => Ok(None),
        Some("thin") => Ok(Some(Arrangement::Thin)),
        Some("linear") => thick(Ok(Layout::Linear)),
        Some("striped") => thick(Layout::striped(stripes)),
        Some("raid1") => thick(Layout::raid1(copies.unwrap_or(2))),
        Some("raid5") => thick(Layout::raid5(stripes)),
        Some("raid10") => thick(Layout::raid10(stripes)),
        Some(other) => Err(wrong(
            "layout",
            other,
            "use thin, linear, striped, raid1, raid5 or raid10",
        )),
    }
}

/// The same with checksums, if they are wanted; where they make no sense they are not spoken of.
fn checked(
    arrangement: Option<Arrangement>,
    integrity: Option<bool>,
) -> Result<Option<Arrangement>, Problem> {
    let Some(wanted) = integrity else {
        return Ok(arrangement);
    };
    let safe = match &arrangement {
        Some(Arrangement::Thick(layout)) => layout.clone().with_integrity(),
        None | Some(Arrangement::Thin) => None,
    };
    match safe {
        Some(safe) if wanted => Ok(Some(Arrangement::Thick(safe))),
        Some(_) => Ok(arrangement),
        None => Err(Problem::Invalid(
            "parameter integrity goes with layout raid1, raid5 or raid10; take it out or set layout"
                .into(),
        )),
    }
}

/// Reads the parameters of a volume attributes class.
pub fn limits(parameters: &HashMap<String, String>) -> Result<Limits, Problem> {
    let mut limits = Limits::default();
    let mut names: Vec<_> = parameters
        .iter()
        .filter(|(name, _)| !foreign(name))
        .collect();
    names.sort();
    for (name, value) in names {
        let place = match name.as_str() {
            "readBytesPerSecond" => &mut limits.read_bytes,
            "writeBytesPerSecond" => &mut limits.write_bytes,
            "readOperationsPerSecond" => &mut limits.read_operations,
            "writeOperationsPerSecond" => &mut limits.write_operations,
            _ => {
                return Err(Problem::Invalid(format!(
                    "attribute {name:?} is not known; known are readBytesPerSecond, writeBytesPerSecond, readOperationsPerSecond and writeOperationsPerSecond"
                )));
            }
        };
        let size = value
            .parse::<ingot_volume_brain::Bytes>()
            .map(|bytes| bytes.0);
        *place = match size {
            Ok(0) | Err(_) => {
                return Err(Problem::Invalid(format!(
                    "attribute {name}: {value:?} is not possible; write a number above 0, bytes also like 10MiB"
                )));
            }
            Ok(number) => Some(number),
        };
    }
    Ok(limits)
}

/// The key of an encrypted volume, from the Secret that its class names for that `step`.
pub fn key(secrets: &HashMap<String, String>, step: &str) -> Result<Key, Problem> {
    match secrets.get("key") {
        Some(key) if key.len() >= 8 => Ok(Key::new(key.clone().into_bytes())),
        Some(_) => Err(Problem::Invalid(
            "the Secret's entry \"key\" has fewer than 8 bytes; use a longer one".into(),
        )),
        None => Err(Problem::Invalid(format!(
            "the volume is encrypted and the request has no secret \"key\"; name a Secret with it in the storage class, as csi.storage.k8s.io/{step}-secret-name and -namespace"
        ))),
    }
}
