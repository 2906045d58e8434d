//! Which volume a person means: by claim, PersistentVolume, id or logical volume.

use super::volumes::VolumeRow;
use crate::error::{Failure, FailureKind};

/// How many names a refusal lists.
const MOST: usize = 10;

/// The one volume of that name.
///
/// # Errors
/// When there is none, with names that are near, or more than one, with all of them.
pub fn find<'a>(rows: &'a [VolumeRow], name: &str) -> Result<&'a VolumeRow, Failure> {
    // A whole name means that volume, whatever else is called similarly.
    let whole: Vec<&VolumeRow> = rows.iter().filter(|row| is(row, name)).collect();
    let bare = || rows.iter().filter(|row| short(row) == Some(name)).collect();
    let found: Vec<&VolumeRow> = if whole.is_empty() { bare() } else { whole };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(unknown(rows, name)),
        several => {
            let text = format!("{name} may be any of {}: {}", several.len(), names(several));
            Err(Failure::text(FailureKind::Input, text)
                .hint("name it as NAMESPACE/CLAIM, or by its id (-o json shows it)"))
        }
    }
}

fn is(row: &VolumeRow, name: &str) -> bool {
    let claim = row.claim.as_ref().map(ToString::to_string);
    let object = row.id.as_ref().and_then(|id| Some(id.rsplit_once('-')?.0));
    let own = [
        &row.name,
        &row.id,
        &row.persistent_volume,
        &row.logical_volume,
    ];
    claim.as_deref() == Some(name)
        || object == Some(name)
        || own.into_iter().flatten().any(|own| own == name)
}

/// The name of its claim without the namespace.
fn short(row: &VolumeRow) -> Option<&str> {
    row.claim.as_ref().map(|claim| claim.name.as_str())
}

fn names(rows: &[&VolumeRow]) -> String {
    let called = |row: &&VolumeRow| match (&row.claim, &row.id) {
        (Some(_), Some(id)) if rows.iter().filter(|other| other.claim == row.claim).count() > 1 => {
            format!("{} ({id})", row.called())
        }
        _ => row.called(),
    };
    let mut names: Vec<String> = rows.iter().take(MOST).map(called).collect();
    if rows.len() > MOST {
        names.push(format!("and {} more", rows.len() - MOST));
    }
    names.join(", ")
}

fn unknown(rows: &[VolumeRow], name: &str) -> Failure {
    let part = name.rsplit('/').next().unwrap_or(name);
    let near: Vec<&VolumeRow> = rows
        .iter()
        .filter(|row| !part.is_empty() && row.called().contains(part))
        .collect();
    let text = match (rows.len(), near.len()) {
        (0, _) => format!("no volume is called {name}; the cluster has none"),
        (_, 0) => format!("no volume is called {name}"),
        (_, _) => format!("no volume is called {name}; near it: {}", names(&near)),
    };
    Failure::text(FailureKind::Input, text).hint("ingot volume list shows all of them")
}
