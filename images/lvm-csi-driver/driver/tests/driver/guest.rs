//! csi-sanity against the driver on real LVM, on a virtual machine with disks that nobody misses.
//!
//! Opt-in with `INGOT_GUEST_TESTS=1`, as root: it boots an emulated machine and takes half an hour.

use crate::sanity::{judge, outcomes, program, taken_out};
use ingot_harness::guest::{DiskSpec, Guest, GuestSpec};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Storage classes the suite is run with: name, access type, parameters.
const RUNS: [(&str, &str, &str); 3] = [
    ("thin", "mount", "pool: thin\n"),
    ("thick", "mount", "pool: thick\n"),
    ("raw block", "block", "pool: thin\n"),
];

/// What runs as a service of the guest: its unit, its words.
const SERVICES: [(&str, &[&str]); 2] = [
    ("csi-agent", &["agent", "--config", "/root/storage.yaml"]),
    // Emulated, each command of LVM takes a second.
    ("csi-controller", &["controller", "--patience", "60"]),
];

#[test]
fn csi_sanity_passes_on_real_lvm() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("INGOT_GUEST_TESTS").is_none() {
        eprintln!("skipped: set INGOT_GUEST_TESTS=1 to run it on a virtual machine");
        return Ok(());
    }
    let suite = program()?;
    let folder = tempfile::tempdir()?;
    let mut spec = GuestSpec::new("csi-sanity").with_disks(4, 20 << 30);
    spec.memory_mib = 2048;
    let disks: Vec<String> = spec.disks.iter().map(DiskSpec::path).collect();
    let guest = Guest::create(spec, &|line| println!("  {line}"))?;
    let put = |name: &str, text: &str| -> Result<(), Box<dyn Error>> {
        let here = folder.path().join(name);
        std::fs::write(&here, text)?;
        Ok(guest.copy_in(&here, &format!("/root/{name}"))?)
    };
    put("storage.yaml", &configuration(&disks))?;
    put("attributes.yaml", "readBytesPerSecond: 10MiB\n")?;
    let suite = guest.install_program(&suite)?;
    let driver = guest.install_program(Path::new(env!("CARGO_BIN_EXE_lvm-csi-driver")))?;
    guest.run(&["mkdir", "-p", "/run/ingot", "/var/lib/ingot/storage"])?;
    for (unit, words) in SERVICES {
        let unit = format!("--unit={unit}");
        guest.run(&[&["systemd-run", &unit, &driver], words].concat())?;
    }
    let sockets = "test -S /run/ingot/csi-node.sock && test -S /run/ingot/csi-controller.sock";
    guest.wait_until(
        "the driver's sockets",
        &["sh", "-c", sockets],
        Duration::from_secs(60),
    )?;

    let (mut complaints, mut skips) = (Vec::new(), String::new());
    println!("| Run | Passed | Skipped | Failed |\n|---|---|---|---|");
    for (run, access, class) in RUNS {
        put("class.yaml", class)?;
        let access = format!("--csi.testvolumeaccesstype={access}");
        let mut words = vec![
            suite.as_str(),
            "--csi.endpoint=/run/ingot/csi-node.sock",
            "--csi.controllerendpoint=/run/ingot/csi-controller.sock",
            "--csi.mountdir=/tmp/target",
            "--csi.stagingdir=/tmp/staging",
            "--csi.testvolumeparameters=/root/class.yaml",
            "--csi.testvolumemutableparameters=/root/attributes.yaml",
            &access,
            "--csi.testvolumesize=1073741824",
            "--csi.testvolumeexpandsize=2147483648",
            "--ginkgo.json-report=/root/report.json",
            "--ginkgo.no-color",
        ];
        let skipped = taken_out(run);
        words.extend(skipped.iter().map(String::as_str));
        let log = folder.path().join(format!("{run}.log"));
        let status = guest.stream_to(&words, std::fs::File::create(&log)?)?;
        let report = folder.path().join("report.json");
        let _ = std::fs::remove_file(&report);
        guest.copy_out("/root/report.json", &report)?;
        let (row, told) = judge(run, &outcomes(&report)?, &mut complaints);
        println!("{row}");
        skips += &told;
        if !status.success() {
            complaints.push(format!("{run}:\n{}", std::fs::read_to_string(&log)?));
        }
        let left = guest.run(&["lvs", "--noheadings", "--options", "lv_name"])?;
        let left = String::from_utf8_lossy(&left.stdout).into_owned();
        if left.split_whitespace().ne(["pool"]) {
            complaints.push(format!("{run}: left behind:\n{left}"));
        }
    }
    println!("\n| Run | Skipped | Reason |\n|---|---|---|\n{skips}");
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

fn configuration(disks: &[String]) -> String {
    let (thin, thick) = disks.split_at(2);
    format!(
        "node: guest\npools:\n  - name: thin\n    volumeGroup: ingot-thin\n    devices: [{}]\n    thin: {{ pool: pool, size: 24GiB }}\n  - name: thick\n    volumeGroup: ingot-thick\n    devices: [{}]\n",
        thin.join(", "),
        thick.join(", ")
    )
}
