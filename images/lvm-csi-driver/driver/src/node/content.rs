//! Brings content onto a volume, once: encryption, then a filesystem. Every step is decided by
//! `ingot_volume_brain::format` from the tag and from a fresh look at the device.

use super::{NodeService, content_device};
use crate::agent::Located;
use crate::parameters;
use crate::problem::Problem;
use ingot_lvm::{Command, Filesystem, Found, LvmError};
use ingot_volume_brain::FilesystemTag;
use ingot_volume_brain::format::{Refusal, Signature, Step, next};
use std::collections::HashMap;

fn refused(located: &Located, refusal: Refusal) -> Problem {
    Problem::Precondition(format!("{}: {refusal}", located.device))
}

impl NodeService {
    async fn tag(&self, located: &Located, tag: FilesystemTag) -> Result<Located, Problem> {
        self.agent
            .retag(located, |tags| tags.filesystem = tag)
            .await?;
        let fresh = self.agent.inventory.locate(located.tags.uid);
        fresh.ok_or_else(|| super::unknown(located.lv.lv.as_str()))
    }

    /// Makes the device of a volume appear, decrypted if it is encrypted.
    pub(super) async fn open(
        &self,
        mut located: Located,
        secrets: &HashMap<String, String>,
    ) -> Result<Located, Problem> {
        let device = located.device.clone();
        if !located.lv.active {
            let activate = Command::Activate {
                vg: device.vg.clone(),
                lv: device.lv.clone(),
            };
            self.agent
                .inventory
                .change_and_read(&device.vg, activate)
                .await?;
        }
        self.reachable(&located).await?;
        if !located.tags.encrypted {
            return Ok(located);
        }
        if self
            .agent
            .executor
            .device_size(&device.decrypted())
            .await
            .is_ok()
        {
            return Ok(located);
        }
        let key = parameters::key(secrets)?;
        let found = self.agent.executor.probe(&device).await?;
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
    async fn reachable(&self, located: &Located) -> Result<(), Problem> {
        let device = &located.device;
        let unread = match self.agent.executor.probe(device).await {
            Err(error @ LvmError::Failed { .. }) => error,
            looked => return Ok(looked.map(drop)?),
        };
        if !self.agent.mounts_of(device).await?.is_empty() {
            return Err(unread.into());
        }
        let refresh = Command::Refresh {
            vg: device.vg.clone(),
            lv: device.lv.clone(),
        };
        self.agent
            .inventory
            .change_and_read(&device.vg, refresh)
            .await?;
        Ok(self.agent.executor.probe(device).await.map(drop)?)
    }

    /// Makes sure that the wanted filesystem is there, whole and tagged.
    pub(super) async fn filesystem(
        &self,
        mut located: Located,
        wanted: Filesystem,
    ) -> Result<Located, Problem> {
        let device = content_device(&located);
        let encrypted = located.tags.encrypted;
        let mut made = false;
        // Tag, make, tag: three steps, and one to see that nothing is left to do.
        for _ in 0..4 {
            let found = match made {
                // Its program has said so.
                true => Found::Filesystem {
                    filesystem: wanted,
                    whole: true,
                },
                false => self.agent.executor.probe(&device).await?,
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
            match next(located.tags.filesystem, signature) {
                Step::TagFormatting => {
                    located = self.tag(&located, FilesystemTag::Formatting).await?;
                }
                Step::MakeFilesystem => {
                    let make = Command::MakeFilesystem {
                        device: device.clone(),
                        filesystem: wanted,
                    };
                    self.agent.executor.change(make).await?;
                    made = true;
                }
                Step::TagFormatted => {
                    located = self.tag(&located, FilesystemTag::Formatted).await?;
                }
                Step::Mount => return Ok(located),
                Step::Refuse(refusal) => return Err(refused(&located, refusal)),
            }
        }
        Err(Problem::Internal(format!(
            "{device} shows no {wanted} after it was made (encrypted: {encrypted}); look at the kernel's log for disk errors"
        )))
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
