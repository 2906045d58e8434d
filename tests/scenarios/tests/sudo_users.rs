//! Hosts that nobody enters as root: users with sudo, with and without a password.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ingot_harness::{ADMIN_PASSWORD, RootVariant};
use ingot_scenarios::Stage;
use ingot_scenarios::cluster::{ALONE, Cluster};

#[test]
fn sudo_users() {
    let Some(stage) = Stage::take() else { return };
    let with_password = "user: admin\nsudo:\n  passwordFile: password";
    let cluster = Cluster::of(&stage, "sudo", ALONE, RootVariant::Sudo, with_password);
    let write = |content: &str, mode: u32| {
        let path = cluster.lab.driver_dir().join("password");
        std::fs::write(&path, format!("{content}\n")).expect("a password file");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("its mode");
    };
    let address = cluster.host("alone").address();
    let refusal = |code: i32| {
        let run = cluster.ingot(&["bootstrap"]).ended_with(code);
        assert!(
            !run.transcript().contains(ADMIN_PASSWORD),
            "the password was told"
        );
        let failure = run.end()["failed"]["alone"].clone();
        assert_eq!(failure["phase"], "connect", "{}", run.transcript());
        failure["message"].as_str().unwrap_or_default().to_owned()
    };

    write("not the password", 0o600);
    assert_eq!(
        refusal(3),
        format!(
            "user `admin` cannot become root on {address}:22: sudo refused the password (1 incorrect password attempt); check the file `passwordFile` names"
        )
    );
    write(ADMIN_PASSWORD, 0o644);
    let run = cluster.ingot(&["bootstrap"]).ended_with(2).stderr;
    assert!(
        run.contains("password is open to others than its owner (mode 0644); run `chmod 600 "),
        "{run}"
    );

    write(ADMIN_PASSWORD, 0o600);
    let run = cluster.ingot(&["bootstrap"]).succeeded();
    assert!(
        !run.transcript().contains(ADMIN_PASSWORD),
        "the password was told"
    );
    cluster
        .kubectl()
        .nodes_are_ready(&["alone"], Duration::from_secs(1));
    cluster.applying_again_changes_nothing();

    // Another user of the same host goes on where the first one ended.
    cluster.describe("user: deploy\nsudo: {}");
    cluster.applying_again_changes_nothing();
    cluster
        .ingot(&["node", "reset", "alone", "--yes"])
        .succeeded();
    cluster.ingot(&["bootstrap"]).succeeded();
    cluster.applying_again_changes_nothing();
}
