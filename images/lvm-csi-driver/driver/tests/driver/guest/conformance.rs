//! csi-sanity against the driver on real LVM. It takes half an hour.

use super::{Node, Outcome, asked_for, pool};
use crate::sanity::{judge, outcomes, program, taken_out};
use ingot_harness::guest::GuestSpec;

/// Storage classes the suite is run with: name, access type, parameters.
const RUNS: [(&str, &str, &str); 3] = [
    ("thin", "mount", "pool: thin\n"),
    ("thick", "mount", "pool: thick\n"),
    ("raw block", "block", "pool: thin\n"),
];

fn pools(disks: &[String]) -> String {
    let (thin, thick) = disks.split_at(2);
    let rest = "    thin: { pool: pool, size: 24GiB }\n";
    pool("thin", thin, rest) + &pool("thick", thick, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csi_sanity_passes_on_real_lvm() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let suite = tokio::task::spawn_blocking(|| program().map_err(|e| e.to_string())).await??;
    let folder = tempfile::tempdir()?;
    let mut spec = GuestSpec::new("csi-sanity").with_disks(4, 20 << 30);
    spec.memory_mib = 2048;
    let node = Node::boot(spec, pools, &[]).await?;
    let guest = &node.guest;
    node.put("/root/attributes.yaml", "readBytesPerSecond: 10MiB\n")?;
    let suite = guest.install_program(&suite)?;
    // The suite asks once for a volume, and takes "no room yet" for an answer.
    node.overwritten().await?;

    let (mut complaints, mut skips) = (Vec::new(), String::new());
    println!("| Run | Passed | Skipped | Failed |\n|---|---|---|---|");
    for (run, access, class) in RUNS {
        node.put("/root/class.yaml", class)?;
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
        let left = node.sh("lvs --noheadings --options lv_name")?;
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
