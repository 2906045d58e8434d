//! The messages and services of CSI 1.13, compiled from the specification's own csi.proto, of the
//! kubelet's registration of plugins, and of Kubernetes' service for backup programs.
//!
//! Generated code only: nothing is decided here.

/// Package `csi.v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("csi.v1");
}

/// Package `snapshotmetadata`: what backup programs ask a cluster for (KEP-3314).
#[allow(missing_docs, clippy::all)]
pub mod kubernetes {
    tonic::include_proto!("snapshotmetadata");
}

/// Package `pluginregistration`, version 1.
#[allow(missing_docs, clippy::all)]
pub mod registration {
    tonic::include_proto!("pluginregistration");
}
