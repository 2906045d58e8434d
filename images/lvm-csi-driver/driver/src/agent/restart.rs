//! Thin pools that have failed. The kernel gives a pool up for good when it cannot write its metadata,
//! as while its disk is away: only taken down, with all that lies in it, and begun anew does it work
//! again. Meanwhile LVM reports it as full.

use super::Agent;
use crate::config::PoolConfig;
use ingot_lvm::{Command, Group, Lv, LvmError, Mount};
use ingot_volume_brain::{LvName, VgName};

impl Agent {
    /// Begins a pool anew that has failed and that no pod has a volume of. Says whether it did.
    pub(super) async fn restart_failed(&self, pool: &PoolConfig) -> bool {
        let vg = &pool.volume_group;
        let Ok(group) = self.inventory.group(vg).await else {
            return false;
        };
        if failed(pool, &group).is_none() {
            return false;
        }
        // It would fail again.
        if group.pvs.iter().any(|pv| pv.missing || pv.read_only) {
            return false;
        }
        let _gate = self.gate(vg).await;
        // Whoever stages a volume may have begun it anew meanwhile, and have it.
        let now = self.inventory.group(vg).await;
        let Some(failed) = now.as_ref().ok().and_then(|now| failed(pool, now)) else {
            return false;
        };
        match self.restart(vg, failed).await {
            Ok(()) => {
                eprintln!("thin pool {vg}/{failed} had failed and was begun anew");
                true
            }
            // Its trouble says what is to be done.
            Err(_) => false,
        }
    }

    /// Takes a thin pool down and begins it anew, with what was active in it.
    ///
    /// # Errors
    /// [`LvmError::InUse`] while a pod has a volume of it; nothing was changed then.
    pub(crate) async fn restart(&self, vg: &VgName, pool: &LvName) -> Result<(), LvmError> {
        let group = self.inventory.group(vg).await?;
        // LVM sees no use in a raw volume that a pod has and does not hold open just now.
        let inside = |mount: &Mount| {
            let lv = group.lv(&mount.device.lv);
            mount.device.vg == *vg && lv.is_some_and(|lv| lv.pool.as_ref() == Some(pool))
        };
        if self.executor.mounts().await?.iter().any(inside) {
            return Err(LvmError::InUse {
                what: format!("{vg}/{pool}"),
            });
        }
        let deactivate = Command::Deactivate {
            vg: vg.clone(),
            pool: pool.clone(),
        };
        self.inventory.change_and_read(vg, deactivate).await?;
        let was_active = |lv: &&Lv| lv.active && lv.pool.as_ref() == Some(pool);
        let volumes = group.lvs.iter().filter(was_active).map(|lv| &lv.lv);
        for lv in std::iter::once(pool).chain(volumes) {
            let activate = Command::Activate {
                vg: vg.clone(),
                lv: lv.clone(),
            };
            let done = self.inventory.change_and_read(vg, activate).await;
            // One that fails is seen by whoever stages it.
            if lv == pool {
                done?;
            }
        }
        Ok(())
    }
}

/// The thin pool of that configuration, if it has failed.
pub(super) fn failed<'a>(pool: &'a PoolConfig, group: &Group) -> Option<&'a LvName> {
    let thin = &pool.thin.as_ref()?.pool;
    group.lv(thin).is_some_and(Lv::failed).then_some(thin)
}

/// What is said of such a pool.
pub(crate) fn failure(pool: &PoolConfig, group: &Group) -> Option<String> {
    let thin = failed(pool, group)?;
    Some(format!(
        "thin pool {}/{thin} has failed, as it does when its disk is away; it is begun anew within a minute once no pod has a volume of it: end those that still have one, and if it fails again, look for a failing disk with `dmesg`",
        group.vg
    ))
}
