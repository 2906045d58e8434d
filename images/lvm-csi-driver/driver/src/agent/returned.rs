//! Disks that come back. When their group has changed meanwhile, LVM goes on counting them as missing until
//! somebody says that they may be used as they are; and a RAID goes on without them until it is told.
//!
//! Both is safe without a person: what lay on such a disk alone nobody could write meanwhile, and of a RAID
//! the kernel knows which copy is older, and makes it new.

use super::Agent;
use super::pools::ours;
use crate::config::PoolConfig;
use ingot_lvm::Command;

impl Agent {
    /// Takes up what is there again in the group of a pool. Starts no program where nothing is.
    pub(super) async fn take_up(&self, pool: &PoolConfig) {
        let vg = &pool.volume_group;
        let Ok(mut group) = self.inventory.group(vg).await else {
            return;
        };
        if ours(pool, &group).is_err() {
            return;
        }
        for pv in group.pvs.iter().filter(|pv| pv.is_back()) {
            let restore = Command::RestoreDisk {
                vg: vg.clone(),
                device: pv.device.clone(),
            };
            let _gate = self.gate(vg).await;
            match self.inventory.change_and_read(vg, restore).await {
                Ok(()) => eprintln!(
                    "pool {}: {} is back and is used again",
                    pool.name, pv.device
                ),
                // That it is missing stands in the pool's status; the next look tries again.
                Err(error) => eprintln!("pool {}: {error}", pool.name),
            }
        }
        if let Ok(now) = self.inventory.group(vg).await {
            group = now;
        }
        for lv in group.lvs.iter().filter(|lv| lv.lags() && lv.tags.is_some()) {
            let refresh = Command::Refresh {
                vg: vg.clone(),
                lv: lv.lv.clone(),
            };
            match self.inventory.change_and_read(vg, refresh).await {
                Ok(()) => eprintln!(
                    "pool {}: all disks of RAID {} are used again",
                    pool.name, lv.lv
                ),
                // That it lags is in its health.
                Err(error) => eprintln!("pool {}: {error}", pool.name),
            }
        }
    }
}
