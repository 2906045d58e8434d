//! What every image has besides its sources: what is run in it, and the least of a root file system.

use crate::catalog::ComponentPlan;
use crate::layer::{Entry, Tree};
use ingot_bundle::RuntimeConfig;

/// What is run: as component.yaml says, else as the vendor of the image says.
pub(super) fn runtime(component: &ComponentPlan, vendor: RuntimeConfig) -> RuntimeConfig {
    let image = &component.spec.image;
    let own = |ours: &[String], theirs: Vec<String>| {
        if ours.is_empty() {
            theirs
        } else {
            ours.to_vec()
        }
    };
    let mut env = own(&image.env, vendor.env);
    if !env.iter().any(|pair| pair.starts_with("PATH=")) {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        env.insert(0, format!("PATH={path}"));
    }
    RuntimeConfig {
        user: image.user.clone().or(vendor.user),
        env,
        entrypoint: own(&image.entrypoint, vendor.entrypoint),
        cmd: own(&image.cmd, vendor.cmd),
        working_dir: vendor.working_dir.or_else(|| Some("/".to_owned())),
        stop_signal: image.stop_signal.clone().or(vendor.stop_signal),
        labels: vendor.labels,
    }
}

/// What programs expect to find in any root file system. The same for all images, so that it
/// is stored once.
pub(super) fn skeleton() -> Tree {
    let passwd = "root:x:0:0:root:/root:/usr/sbin/nologin\n\
                  nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
                  nonroot:x:65532:65532:nonroot:/nonexistent:/usr/sbin/nologin\n";
    let group = "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n";
    Tree::from([
        ("etc/passwd".to_owned(), Entry::Bytes(passwd.into(), 0o644)),
        ("etc/group".to_owned(), Entry::Bytes(group.into(), 0o644)),
        ("tmp".to_owned(), Entry::Directory(0o1777)),
    ])
}
