//! Brings content onto a volume, once: encryption, then a filesystem. Every step is decided by
//! `ingot_volume_brain::format` from the tag and from a fresh look at the device.

use super::{NodeService, content_device};
use crate::agent::Located;
use crate::parameters;
use crate::problem::Problem;
use ingot_lvm::{Command, Device, Filesystem, Found, LvmError};
use ingot_volume_brain::FilesystemTag;
use ingot_volume_brain::format::{Refusal, Signature, Step, next};
use std::collections::HashMap;

fn refused(located: &Located, refusal: Refusal) -> Problem {
    Problem::Precondition(format!("{}: {refusal}", located.device))
}

impl NodeService {
    pub(super) async fn tag(
        &self,
        located: &Located,
        tag: FilesystemTag,
    ) -> Result<Located, Problem> {
        self.agent
            .retag(located, |tags| tags.filesystem = tag)
            .await?;
        let fresh = self.agent.inventory.locate(located.tags.uid);
        fresh.ok_or_else(|| super::unknown(located.lv.lv.as_str()))
    }

    /// Makes the device of a volume appear, decrypted if it is encrypted. Gives what is on it as well,
    /// where that was looked at.
    pub(super) async fn open(
        &self,
        located: Located,
        secrets: &HashMap<String, String>,
    ) -> Result<(Located, Option<Found>), Problem> {
        let device = located.device.clone();
        if !located.lv.active {
            let activate = Command::Activate {
                vg: device.vg.clone(),
                lv: device.lv.clone(),
            };
            let inventory = &self.agent.inventory;
            let activated = inventory.change_and_read(&device.vg, activate).await;
            self.or_restart(&located, activated).await?;
        }
        let found = self.reachable(&located).await?;
        if !located.tags.encrypted {
            return Ok((located, Some(found)));
        }
        let located = self.decrypt(located, found, secrets).await?;
        Ok((located, None))
    }

    /// Opens the encryption of a device on which that was `found`; makes it where there is none yet.
    async fn decrypt(
        &self,
        mut located: Located,
        found: Found,
        secrets: &HashMap<String, String>,
    ) -> Result<Located, Problem> {
        let device = located.device.clone();
        if self
            .agent
            .executor
            .device_size(&device.decrypted())
            .await
            .is_ok()
        {
            return Ok(located);
        }
        let key = parameters::key(secrets, "node-stage")?;
        match (located.tags.filesystem, found) {
            (FilesystemTag::Unformatted, Found::Blank) => {
                located = self.tag(&located, FilesystemTag::Formatting).await?;
                let encrypt = Command::Encrypt {
                    device: device.clone(),
                    key: key.clone(),
                };
                self.agent.executor.change(encrypt).await?;
            }
            // Whatever an interrupted attempt of ours left, nothing was ever mounted from it.
            (FilesystemTag::Formatting, found) => {
                let open = Command::Open {
                    device: device.clone(),
                    key: key.clone(),
                };
                if found == Found::Luks && self.agent.executor.change(open).await.is_ok() {
                    return Ok(located);
                }
                let encrypt = Command::Encrypt {
                    device: device.clone(),
                    key: key.clone(),
                };
                self.agent.executor.change(encrypt).await?;
            }
            (FilesystemTag::Formatted, Found::Luks) => {}
            (FilesystemTag::Formatted, Found::Blank) => {
                return Err(refused(&located, Refusal::Vanished));
            }
            (FilesystemTag::Unformatted | FilesystemTag::Formatted, _) => {
                return Err(refused(&located, Refusal::Foreign));
            }
        }
        match self
            .agent
            .executor
            .change(Command::Open { device, key })
            .await
        {
            Ok(()) | Err(LvmError::Exists { .. }) => Ok(located),
            Err(error) => Err(error.into()),
        }
    }

    /// A disk that went and came back is another device to the kernel: what was active on it leads
    /// nowhere until it is told where the disk is now.
    async fn reachable(&self, located: &Located) -> Result<Found, Problem> {
        let device = &located.device;
        let unread = match self.look(located).await {
            Err(error @ LvmError::Failed { .. }) => error,
            looked => return Ok(looked?),
        };
        if !self.agent.mounts_of(device).await?.is_empty() {
            return Err(unread.into());
        }
        let refresh = Command::Refresh {
            vg: device.vg.clone(),
            lv: device.lv.clone(),
        };
        let inventory = &self.agent.inventory;
        let refreshed = inventory.change_and_read(&device.vg, refresh).await;
        self.or_restart(located, refreshed).await?;
        Ok(self.look(located).await?)
    }

    async fn look(&self, located: &Located) -> Result<Found, LvmError> {
        let device = &located.device;
        match self.agent.executor.probe(device).await {
            // The agent may be beginning its thin pool anew just now, which takes all devices of it away.
            Err(LvmError::NotFound { .. }) if located.lv.pool.is_some() => {
                let _gate = self.agent.gate(&device.vg).await;
                self.activate(device).await?;
                self.agent.executor.probe(device).await
            }
            looked => looked,
        }
    }

    /// A thin pool whose disk was away has failed for good in the kernel: it is taken down, with all that
    /// lies in it, and begun anew. While a pod still has a volume of it, that cannot be done.
    async fn or_restart(
        &self,
        located: &Located,
        opened: Result<(), LvmError>,
    ) -> Result<(), Problem> {
        let device = &located.device;
        let (Err(error @ LvmError::Failed { .. }), Some(pool)) = (&opened, &located.lv.pool) else {
            return Ok(opened?);
        };
        let vg = &device.vg;
        // The agent begins it anew as well, as soon as it sees that it has failed: it must not be taken down
        // under a volume that is there again.
        let _gate = self.agent.gate(vg).await;
        match self.agent.restart(vg, pool).await {
            Err(LvmError::InUse { .. }) => {
                return Err(Problem::Unavailable(format!(
                    "{error}; if its disk was away, thin pool {vg}/{pool} has to be begun anew, which is done as soon as no pod has a volume of it: end those that still have one"
                )));
            }
            ended => ended?,
        }
        Ok(self.activate(device).await?)
    }

    async fn activate(&self, device: &Device) -> Result<(), LvmError> {
        let activate = Command::Activate {
            vg: device.vg.clone(),
            lv: device.lv.clone(),
        };
        let inventory = &self.agent.inventory;
        inventory.change_and_read(&device.vg, activate).await
    }

    /// Makes sure that the wanted filesystem is there and whole. Says whether the tag for it is still to
    /// be written, which is to be done before a pod can write.
    pub(super) async fn filesystem(
        &self,
        located: &Located,
        found: Option<Found>,
        wanted: Filesystem,
    ) -> Result<bool, Problem> {
        let device = content_device(located);
        let found = match found {
            Some(found) => found,
            None => self.agent.executor.probe(&device).await?,
        };
        let signature = match found {
            Found::Blank => Signature::Blank,
            Found::Filesystem { filesystem, whole } if filesystem == wanted => {
                if whole {
                    Signature::Wanted
                } else {
                    Signature::Partial
                }
            }
            Found::Filesystem { .. } | Found::Luks | Found::Other(_) => Signature::Foreign,
        };
        let mut step = next(located.tags.filesystem, signature);
        if step == Step::MakeFilesystem {
            let make = Command::MakeFilesystem {
                device,
                filesystem: wanted,
            };
            self.agent.executor.change(make).await?;
            // Its program has said so.
            step = next(located.tags.filesystem, Signature::Wanted);
        }
        match step {
            Step::TagFormatted => Ok(true),
            Step::Mount => Ok(false),
            Step::Refuse(refusal) => Err(refused(located, refusal)),
            Step::MakeFilesystem => Err(Problem::Internal(
                "a filesystem that was made shall be made again".into(),
            )),
        }
    }

    /// Writes down that its filesystem is made, so that no pod waits for the tag. Not where it is
    /// encrypted: while the tag says that this is being done, another key would encrypt it anew.
    pub(super) fn noted(&self, located: &Located) -> bool {
        if located.tags.encrypted {
            return false;
        }
        self.agent
            .formats
            .note(located.tags.uid)
            .unwrap_or_else(|error| {
                eprintln!("{}: no record of its filesystem: {error}", located.device);
                false
            })
    }

    /// A raw device that was handed out holds whatever the pod wrote: never to be formatted.
    pub(super) async fn hand_out_raw(&self, located: Located) -> Result<Located, Problem> {
        match located.tags.filesystem {
            FilesystemTag::Formatted => Ok(located),
            FilesystemTag::Unformatted | FilesystemTag::Formatting => {
                self.tag(&located, FilesystemTag::Formatted).await
            }
        }
    }
}
