//! What is on a simulated device.

use super::ranges::Ranges;
use super::state::{State, missing};
use crate::backend::Reply;
use crate::command::{Command, Key, Limits};
use crate::device::{Device, Filesystem, Found, LUKS_HEADER};
use crate::error::LvmError;
use ingot_volume_brain::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Content {
    /// A hash of the key: keys are not written down, not even here.
    pub key: Option<u64>,
    pub filesystem: Option<Made>,
    pub other: Option<String>,
    pub files: BTreeMap<String, String>,
    /// What somebody who reads the device itself finds of former volumes.
    #[serde(default)]
    pub remains: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Made {
    pub kind: Filesystem,
    pub whole: bool,
    pub size: Bytes,
    /// Stands for its UUID: copies have that of their origin.
    pub identity: String,
}

fn hash(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.expose().hash(&mut hasher);
    hasher.finish()
}

impl State {
    /// The content behind a device that can be read now.
    pub fn content(&mut self, device: &Device) -> Result<&mut Content, LvmError> {
        let opened = self.opened.contains(&device.lv);
        let volume = self.volume(&device.vg, &device.lv)?;
        if !volume.active || (device.decrypted && !opened) {
            return Err(missing(format!("device {device}")));
        }
        if volume.stale {
            return Err(LvmError::Failed {
                command: format!("read {device}"),
                reason: "Input/output error".into(),
            });
        }
        Ok(&mut volume.content)
    }

    pub fn device_size(&mut self, device: &Device) -> Result<Reply, LvmError> {
        self.content(device)?;
        Ok(Reply::Size(self.size_of(device)?))
    }

    pub fn size_of(&mut self, device: &Device) -> Result<Bytes, LvmError> {
        let size = self.volume(&device.vg, &device.lv)?.size;
        let header = if device.decrypted {
            LUKS_HEADER
        } else {
            Bytes::ZERO
        };
        Ok(size.saturating_sub(header))
    }

    pub fn probe(&mut self, device: &Device) -> Result<Reply, LvmError> {
        let content = self.content(device)?;
        let found = if let Some(other) = &content.other {
            Found::Other(other.clone())
        } else if content.key.is_some() && !device.decrypted {
            Found::Luks
        } else if let Some(made) = &content.filesystem {
            Found::Filesystem {
                filesystem: made.kind,
                whole: made.whole,
            }
        } else {
            Found::Blank
        };
        Ok(Reply::Found(found))
    }

    pub fn make_filesystem(
        &mut self,
        device: &Device,
        filesystem: Filesystem,
    ) -> Result<Reply, LvmError> {
        let size = self.size_of(device)?;
        if size < filesystem.least() {
            return Err(LvmError::Invalid {
                what: format!("{device} has {size}, too little for {filesystem}"),
                remedy: format!("ask for at least {}", filesystem.least()),
            });
        }
        if self.busy(device) {
            return Err(LvmError::InUse {
                what: device.to_string(),
            });
        }
        self.content(device)?;
        let volume = self.volume(&device.vg, &device.lv)?;
        volume.formatted += 1;
        let attempt = volume.formatted;
        volume.content.files.clear();
        volume.content.other = None;
        volume.content.filesystem = Some(Made {
            kind: filesystem,
            whole: true,
            size,
            identity: format!("{} {attempt}", device.lv),
        });
        Ok(Reply::Done)
    }

    pub fn erase(
        &mut self,
        device: &Device,
        from: Bytes,
        length: Bytes,
    ) -> Result<Reply, LvmError> {
        if self.busy(device) {
            return Err(LvmError::InUse {
                what: device.to_string(),
            });
        }
        self.content(device)?;
        let volume = self.volume(&device.vg, &device.lv)?;
        volume.erased.add(from, from.saturating_add(length));
        let whole = volume.erased.cover(Bytes::ZERO, volume.size);
        // Without its header nothing of an encrypted volume can be read.
        let header = volume.erased.cover(Bytes::ZERO, LUKS_HEADER);
        let mut before = Content::default();
        if whole || (volume.content.key.is_some() && header) {
            before = std::mem::take(&mut volume.content);
        }
        if whole {
            let lv = device.lv.clone();
            self.group(&device.vg)?.overwritten(&lv, &before);
        }
        Ok(Reply::Done)
    }

    /// The half of a command; those that LVM commits in one write have no half.
    pub fn tear(&mut self, command: &Command) {
        if let Command::CopyTogether { vg, copies, pods } = command {
            self.still.extend(pods.iter().cloned());
            let half = copies.len().div_ceil(2);
            // What cannot be copied leaves nothing, in half or whole.
            let _ = self.copy_together(vg, &copies[..half]);
        }
        if let Command::Create(new) = command
            && new.layout.integrity()
        {
            // The RAID is there before the checksums beside it.
            let mut bare = new.clone();
            bare.layout = bare.layout.without_integrity();
            let _ = self.create(&bare);
        }
        if let Command::MakeFilesystem { device, filesystem } = command
            && self.make_filesystem(device, *filesystem).is_ok()
            && let Ok(content) = self.content(device)
            && let Some(made) = &mut content.filesystem
        {
            made.whole = false;
        }
    }

    pub fn encrypt(&mut self, device: &Device, key: &Key) -> Result<Reply, LvmError> {
        if self.busy(device) {
            return Err(LvmError::InUse {
                what: device.to_string(),
            });
        }
        *self.content(device)? = Content {
            key: Some(hash(key)),
            ..Content::default()
        };
        Ok(Reply::Done)
    }

    fn fits(&mut self, device: &Device, key: &Key) -> Result<(), LvmError> {
        match &self.content(device)?.key {
            Some(own) if *own == hash(key) => Ok(()),
            Some(_) => Err(LvmError::WrongKey {
                device: device.clone(),
            }),
            None => Err(missing(format!("encryption on {device}"))),
        }
    }

    pub fn open(&mut self, device: &Device, key: &Key) -> Result<Reply, LvmError> {
        self.fits(device, key)?;
        if self.opened.insert(device.lv.clone()) {
            Ok(Reply::Done)
        } else {
            Err(LvmError::Exists {
                what: device.decrypted().to_string(),
            })
        }
    }

    pub fn close(&mut self, device: &Device) -> Result<Reply, LvmError> {
        if self.busy(&device.decrypted()) {
            return Err(LvmError::InUse {
                what: device.decrypted().to_string(),
            });
        }
        if self.opened.remove(&device.lv) {
            Ok(Reply::Done)
        } else {
            Err(missing(device.decrypted()))
        }
    }

    pub fn resize_open(&mut self, device: &Device, key: &Key) -> Result<Reply, LvmError> {
        self.fits(device, key)?;
        Ok(Reply::Done)
    }

    pub fn limit(&mut self, device: &Device, pod: &str, limits: Limits) -> Result<Reply, LvmError> {
        self.content(device)?;
        let lv = device.lv.clone();
        self.limits.retain(|(of, by, _)| *of != lv || by != pod);
        self.limits.push((lv, pod.to_owned(), limits));
        Ok(Reply::Done)
    }

    pub fn write(&mut self, device: &Device, name: &str, text: &str) -> Result<(), LvmError> {
        let mounted = |mount: &&crate::device::Mount| mount.device == *device && !mount.read_only;
        if self.mounts.iter().find(mounted).is_none() {
            return Err(missing(format!("a writable mount of {device}")));
        }
        let content = self.content(device)?;
        content.files.insert(name.into(), text.into());
        self.volume(&device.vg, &device.lv)?.erased = Ranges::default();
        Ok(())
    }

    pub fn remains(&mut self, device: &Device) -> Vec<String> {
        let volume = self.volume(&device.vg, &device.lv);
        volume.map_or_else(|_| Vec::new(), |volume| volume.content.remains.clone())
    }

    pub fn read(&mut self, device: &Device, name: &str) -> Option<String> {
        let volume = self.volume(&device.vg, &device.lv).ok()?;
        volume.content.files.get(name).cloned()
    }

    pub fn scribble(&mut self, device: &Device, signature: &str) -> Result<(), LvmError> {
        *self.content(device)? = Content {
            other: Some(signature.into()),
            ..Content::default()
        };
        Ok(())
    }

    pub fn filesystem(&mut self, device: &Device) -> Option<(Filesystem, Bytes)> {
        let volume = self.volume(&device.vg, &device.lv).ok()?;
        let made = volume.content.filesystem.as_ref()?;
        Some((made.kind, made.size))
    }
}
