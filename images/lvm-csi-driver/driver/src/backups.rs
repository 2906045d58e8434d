//! Kubernetes' SnapshotMetadata service, for backup programs in pods (KEP-3314): which blocks of a
//! VolumeSnapshot are written, and in which two differ.
//!
//! Each agent serves it over TLS. Who asks shows a token made for the driver's name as its audience, and
//! must be allowed to read the snapshots ([`caller`]). What is known of a snapshot only the agent of its
//! node can tell, so any other asks that one with the same words ([`elsewhere`]): the token is shown
//! there, too, and no agent has to trust another. The controller keeps the certificate and the object that
//! tells where the service is ([`certificate`]).

mod caller;
mod certificate;
mod elsewhere;
mod front;
mod listen;
mod named;

pub use certificate::keep;
pub use front::Front;
pub use listen::serve;

use k8s_openapi::api::core::v1::Secret;
use kube::api::ApiResource;

/// The Secret in the driver's namespace that has key, certificate and authority.
const SECRET: &str = "storage-snapshot-metadata";

/// By what name agents know each other's certificate, whatever the address of the service is.
const PEER: &str = "snapshot-metadata.lvm.csi.ingot.dev";

/// An entry of the Secret, as text.
fn entry(secret: &Secret, name: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(name)?;
    String::from_utf8(bytes.0.clone()).ok()
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    }
}
