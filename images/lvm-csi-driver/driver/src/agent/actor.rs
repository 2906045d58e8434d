//! One volume: feeds facts to its state machine and carries out what comes back, until it rests.

use super::Agent;
use crate::object::{Key, Volume, VolumeId, lv_name};
use crate::store;
use ingot_lvm::{Device, LvmError};
use ingot_volume_brain::{
    Command, Event, Failure, Known, Phase, State, Use, VgName, VolumeUid, machine,
};
use std::pin::Pin;
use std::sync::Arc;

/// The state machine of one volume and what was last said about it.
#[derive(Debug, Default)]
pub struct Actor {
    machine: machine::Volume,
    /// Why the last command failed.
    pub(super) trouble: Option<String>,
    /// The disk could not be read, or who uses it is not known, so nothing is decided.
    blind: bool,
    /// Its deletion waits for those who use it.
    held: bool,
}

/// Work that goes on by itself.
type Later = Pin<Box<dyn Future<Output = ()> + Send>>;

/// More commands than any volume needs; then somebody fights us.
const PATIENCE: usize = 32;

impl Actor {
    /// Where the volume is in its life.
    pub fn state(&self) -> Option<State> {
        self.machine.state()
    }

    /// Whether it is to be deleted as soon as nobody uses it.
    pub fn in_use(&self) -> bool {
        self.machine.in_use()
    }

    /// Whether something failed and is to be tried again.
    pub fn parked(&self) -> bool {
        self.machine.parked()
    }
}

impl Agent {
    /// Brings one volume to rest. `retry` tries again what failed before.
    pub async fn reconcile(&self, id: VolumeId, vg: &VgName, retry: bool) {
        // A call of its own: what still holds the actor would keep it from being forgotten.
        if self.bring_to_rest(id, vg, retry).await == Some(State::Absent) {
            self.forget(id.uid);
        }
    }

    /// Gives the state in which the volume rests.
    async fn bring_to_rest(&self, id: VolumeId, vg: &VgName, retry: bool) -> Option<State> {
        let uid = id.uid;
        let actor = self.actor(uid);
        let mut actor = actor.lock().await;
        if retry {
            // Without a fact nothing is decided yet.
            actor.machine.on(Event::Disk(Known::Unknown));
            actor.machine.on(Event::Retry);
        }
        let mut looked = false;
        for _ in 0..PATIENCE {
            let wish = match self.wish(&id.key(), uid).await {
                Ok(wish) => wish,
                Err(error) => {
                    actor.trouble = Some(error.to_string());
                    break;
                }
            };
            let Some(command) = self.facts(&mut actor, wish.as_ref(), vg, id).await else {
                break;
            };
            if loses(command) && !looked {
                // A loss is only said after a look at the disk itself.
                looked = self.inventory.refresh(vg).await.is_ok();
                actor.machine.on(Event::Failed(Failure::Conflict));
                continue;
            }
            let result = self
                .perform(command, id, vg, wish, actor.trouble.as_deref())
                .await;
            if command.on_disk() {
                // Before the report: who hears of the volume finds its space taken.
                self.publish_pools().await;
            }
            let event = match result {
                Ok(()) => {
                    actor.trouble = None;
                    Event::Done
                }
                Err((failure, reason)) => {
                    actor.trouble = (failure != Failure::Conflict).then_some(reason);
                    Event::Failed(failure)
                }
            };
            let none = actor.machine.on(event);
            debug_assert!(none.is_none(), "facts must be read before the next command");
        }
        if actor.machine.parked() || actor.blind || actor.held {
            let (trouble, held) = (actor.trouble.as_deref(), actor.held);
            self.explain(&id.key(), uid, trouble, held).await;
        }
        self.seen.volume(id, actor.machine.state());
        actor.machine.state()
    }

    /// Lets a deletion go on, beside whoever has just ended to use the volume.
    pub(crate) fn unused(self: &Arc<Self>, id: VolumeId) {
        if let Some(located) = self.inventory.locate(id.uid) {
            tokio::spawn(Arc::clone(self).reconcile_later(id, located.device.vg));
        }
    }

    /// The same for work that ends later. In a box: bringing a volume to rest may begin such work.
    pub(super) fn reconcile_later(self: Arc<Self>, id: VolumeId, vg: VgName) -> Later {
        Box::pin(async move { self.reconcile(id, &vg, true).await })
    }

    /// The same after a fresh look at the disks, for those who know that something changed there.
    pub async fn reconcile_fresh(&self, id: VolumeId, vg: &VgName) {
        // A group that cannot be read is in the pool's status.
        let _ = self.inventory.refresh(vg).await;
        self.reconcile(id, vg, true).await;
    }

    /// Reads the object, if it is about this life of the volume.
    async fn wish(
        &self,
        key: &Key,
        uid: VolumeUid,
    ) -> Result<Option<(ingot_volume_brain::Version, Volume)>, store::StoreError> {
        let found = store::volume(&*self.store, key).await?;
        Ok(found.filter(|(_, volume)| volume.uid == uid && volume.node == self.config.node))
    }

    /// Tells the machine all that is known; what comes back is to be done next.
    async fn facts(
        &self,
        actor: &mut Actor,
        wish: Option<&(ingot_volume_brain::Version, Volume)>,
        vg: &VgName,
        id: VolumeId,
    ) -> Option<Command> {
        let used = self.used(vg, id).await;
        // Whoever cannot tell says that it is in use: nothing is then removed.
        let usage = match &used {
            Ok(places) if places.is_empty() => Use::Idle,
            Ok(_) | Err(_) => Use::Published,
        };
        let (disk, trouble) = self.inventory.find(vg, id.uid).await;
        // What is to stay is reported by its pool; a deletion waits, and who asked wants to know why.
        actor.blind = trouble.is_some() && wish.is_some_and(|(_, volume)| volume.deleting);
        if let Some(error) = trouble {
            actor.trouble = Some(match actor.blind {
                true => format!(
                    "{error}; if the group is gone for good, name {vg} under `abandoned` in the configuration of node {}",
                    self.config.node
                ),
                false => error.to_string(),
            });
        }
        let intent = match wish {
            Some((version, volume)) => Known::Present(volume.intent(*version)),
            None => Known::Absent,
        };
        // Nothing is decided between the first, which takes a fact away, and the last.
        let events = [
            Event::Disk(Known::Unknown),
            Event::Use(usage),
            Event::Intent(intent),
            Event::Disk(disk),
        ];
        let mut command = None;
        for event in events {
            command = command.or(actor.machine.on(event));
        }
        actor.held = false;
        if actor.machine.in_use() {
            actor.trouble = Some(match used {
                Ok(places) => {
                    actor.held = true;
                    format!(
                        "it is in use at {}; it is deleted as soon as no pod has it any more and it is unstaged",
                        places.join(", ")
                    )
                }
                Err(error) => {
                    actor.blind = true;
                    format!("whether it is in use is not known: {error}")
                }
            });
        }
        command
    }

    /// Where it is staged or published.
    async fn used(&self, vg: &VgName, id: VolumeId) -> Result<Vec<String>, LvmError> {
        let device = Device::lv(vg, &lv_name(id.kind, id.uid));
        let mounts = self.mounts_of(&device).await?;
        let place = |mount: &ingot_lvm::Mount| mount.target.display().to_string();
        Ok(mounts.iter().map(place).collect())
    }

    /// Writes beside the object why it does not go on.
    async fn explain(&self, key: &Key, uid: VolumeUid, trouble: Option<&str>, held: bool) {
        let Some(trouble) = trouble else { return };
        if let Ok(Some((version, mut volume))) = self.wish(key, uid).await
            && (volume.message != trouble || volume.in_use != held)
        {
            volume.message = trouble.to_owned();
            volume.in_use = held;
            // Only words: if somebody else wrote meanwhile, the next attempt explains again.
            let _ = self.store.update(key, version, volume.into()).await;
        }
    }
}

fn loses(command: Command) -> bool {
    matches!(command, Command::Report(_, report) if report.phase == Phase::Lost)
}

/// What the state machine must know of an error.
pub(super) fn failure(error: &LvmError) -> Failure {
    match error {
        LvmError::NoSpace { .. } => Failure::NoSpace,
        LvmError::Invalid { .. } => Failure::Impossible,
        LvmError::NotFound { .. }
        | LvmError::Exists { .. }
        | LvmError::InUse { .. }
        | LvmError::GroupMissing { .. }
        | LvmError::WrongKey { .. }
        | LvmError::Failed { .. }
        | LvmError::Hung { .. }
        | LvmError::Crashed => Failure::Transient,
    }
}
