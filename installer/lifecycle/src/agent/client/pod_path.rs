//! Asks an agent whether packets of pods get through its host.

use super::{Session, unexpected};
use crate::agent::pod_path::{Blocked, PodPath};
use crate::agent::protocol::{Reply, Request};
use crate::error::Failure;

impl Session {
    /// The ways of a pod's packets on which they do not get through.
    ///
    /// # Errors
    /// When it cannot be tried, or the connection breaks.
    pub async fn blocked(&mut self, path: PodPath) -> Result<Vec<Blocked>, Failure> {
        match self.ask(&Request::PodPath { path }).await? {
            Reply::PodPath { blocked } => Ok(blocked),
            other => Err(unexpected(&other)),
        }
    }
}
