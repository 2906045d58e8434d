//! Decides what of a thin pool grows next. Pure: the fill and the room in, one command out.

use crate::config::PoolConfig;
use ingot_lvm::{Command, Group};
use ingot_volume_brain::Bytes;

/// A thin pool cannot use more metadata than about this.
pub(super) const METADATA_MOST: Bytes = Bytes::gib(15);

/// The next growth of a pool, if it fills up and its group has room.
pub(super) fn next(group: &Group, pool: &PoolConfig) -> Option<Command> {
    let thin = pool.thin.as_ref()?;
    let lv = group.lv(&thin.pool)?;
    // Of one that has failed LVM reports that all of it is full.
    let usage = lv.thin.filter(|_| !lv.failed())?;
    // LVM enlarges nothing there meanwhile.
    if group.pvs.iter().any(|pv| pv.missing) {
        return None;
    }
    let guard = thin.guard;
    // Metadata first: a pool without it takes no writes at all, however much room its data has.
    if usage.metadata >= guard.extend {
        // The spare that LVM keeps for repairs grows with it.
        let room = Bytes(group.free().0 / 2).round_down(group.extent);
        let step = part(usage.metadata_size, guard.step)
            .round_up(group.extent)
            .min(room)
            .min(METADATA_MOST.saturating_sub(usage.metadata_size));
        if step > Bytes::ZERO {
            return Some(Command::ExtendMetadata {
                vg: group.vg.clone(),
                pool: thin.pool.clone(),
                size: usage.metadata_size.saturating_add(step),
            });
        }
    }
    if usage.data >= guard.extend {
        let room = group.free().round_down(group.extent);
        let step = part(lv.size, guard.step).round_up(group.extent).min(room);
        if step > Bytes::ZERO {
            return Some(Command::Extend {
                vg: group.vg.clone(),
                lv: thin.pool.clone(),
                size: lv.size.saturating_add(step),
            });
        }
    }
    None
}

fn part(size: Bytes, step: f64) -> Bytes {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let part = (size.0 as f64 * step) as u64;
    Bytes(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ThinConfig;
    use ingot_lvm::{Lv, Pv, ThinGuard, ThinUsage};
    use ingot_volume_brain::{LvName, VgName};

    fn pool() -> PoolConfig {
        PoolConfig {
            name: "thin".into(),
            volume_group: VgName::new("vg").expect("a name"),
            devices: vec!["/dev/disk/by-id/a".into()],
            thin: Some(ThinConfig {
                pool: LvName::new("pool").expect("a name"),
                size: Bytes::gib(10),
                metadata: None,
                chunk: None,
                guard: ThinGuard::default(),
            }),
            serials: Vec::new(),
            unstable_names: false,
            erase: true,
        }
    }

    fn group(data: f64, metadata: f64, metadata_size: Bytes, free: Bytes) -> Group {
        Group {
            vg: VgName::new("vg").expect("a name"),
            tags: Vec::new(),
            extent: Bytes::mib(4),
            pvs: vec![Pv {
                uuid: "a".into(),
                names: Vec::new(),
                erased: true,
                device: "/dev/sda".into(),
                size: Bytes::gib(20),
                free,
                pieces: 1,
                missing: false,
                read_only: false,
            }],
            lvs: vec![Lv {
                lv: LvName::new("pool").expect("a name"),
                size: Bytes::gib(10),
                tags: None,
                unreadable: None,
                pool: None,
                thin: Some(ThinUsage {
                    data,
                    metadata,
                    metadata_size,
                    chunk: Bytes(64 << 10),
                }),
                health: None,
                readable: true,
                integrity: None,
                active: true,
            }],
        }
    }

    fn size(command: Option<Command>) -> Option<(&'static str, Bytes)> {
        match command? {
            Command::Extend { size, .. } => Some(("data", size)),
            Command::ExtendMetadata { size, .. } => Some(("metadata", size)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn metadata_grows_first_and_each_only_within_what_is_free() {
        let grown =
            |data, metadata, of, free| size(next(&group(data, metadata, of, free), &pool()));
        let (of, free) = (Bytes::mib(100), Bytes::gib(10));
        assert_eq!(grown(0.69, 0.69, of, free), None);
        assert_eq!(grown(0.7, 0.1, of, free), Some(("data", Bytes::gib(12))));
        assert_eq!(
            grown(0.9, 0.7, of, free),
            Some(("metadata", Bytes::mib(120)))
        );
        // Twice the step is needed, for the spare.
        let little = Bytes::mib(18);
        assert_eq!(
            grown(0.1, 0.9, of, little),
            Some(("metadata", Bytes::mib(108)))
        );
        assert_eq!(
            grown(0.9, 0.1, of, Bytes::mib(6)).map(|g| g.0),
            Some("data")
        );
        assert_eq!(grown(0.9, 0.9, of, Bytes::mib(3)), None);
        let mut less = group(0.9, 0.9, of, free);
        less.pvs[0].missing = true;
        assert_eq!(size(next(&less, &pool())), None);
        let mut failed = group(1.0, 1.0, of, free);
        failed.lvs[0].health = Some("failed".into());
        assert_eq!(size(next(&failed, &pool())), None);
        // Metadata that cannot grow any more keeps no data from growing.
        let most = Bytes::gib(15);
        assert_eq!(grown(0.9, 0.9, most, free), Some(("data", Bytes::gib(12))));
    }
}
