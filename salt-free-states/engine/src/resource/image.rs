//! `image`: a container image in containerd's store, by digest.

use super::{Kind, ResourceError, Status};
use crate::change::Change;
use crate::journal::Saved;
use crate::system::System;
use crate::undo::UndoStep;
use serde::Deserialize;

/// A container image, pulled through the host's registry mirrors ahead of its use.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// `<registry>/<name>@sha256:<hex>`.
    #[serde(deserialize_with = "by_digest")]
    pub reference: String,
    /// The containerd namespace; `k8s.io` unless given.
    #[serde(default = "kubernetes")]
    pub namespace: String,
    /// Where containerd's mirror descriptions lie.
    pub hosts_dir: String,
}

fn kubernetes() -> String {
    "k8s.io".into()
}

fn by_digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.contains("@sha256:") {
        return Err(serde::de::Error::custom(format!(
            "`{text}` names no digest; write name@sha256:..."
        )));
    }
    Ok(text)
}

impl Kind for Image {
    fn target(&self) -> String {
        format!("image {}", self.reference)
    }

    fn check(&self, system: &System) -> Result<Status, ResourceError> {
        let filter = format!("name=={}", self.reference);
        let output = system.commands.run(
            "ctr",
            &[
                "--namespace",
                &self.namespace,
                "images",
                "ls",
                "-q",
                &filter,
            ],
        );
        // Before containerd is installed there are no images, which is a difference and not a fault.
        if output.is_ok_and(|o| o.success() && o.stdout.lines().any(|line| line == self.reference))
        {
            return Ok(Status::InSync);
        }
        Ok(Status::Drifted(vec![Change::create(
            "image",
            self.reference.clone(),
        )]))
    }

    fn way_back(&self, _system: &System, _saved: &Saved) -> Result<Vec<UndoStep>, ResourceError> {
        // The image store goes with containerd's directory.
        Ok(Vec::new())
    }

    fn change(&self, system: &System) -> Result<(), ResourceError> {
        let args = [
            "--namespace",
            &self.namespace,
            "images",
            "pull",
            "--hosts-dir",
            &self.hosts_dir,
            &self.reference,
        ];
        system.commands.must("ctr", &args)?;
        Ok(())
    }
}
