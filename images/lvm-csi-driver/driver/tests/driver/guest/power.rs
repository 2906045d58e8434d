//! The power goes at random moments, while pods write and volumes come and go. What was flushed is
//! there afterwards, the driver goes on by itself, and nothing is lost or left over.
//!
//! The moments follow from a seed, which is printed; `INGOT_SEED` gives it again.
//! `INGOT_POWER_CUTS` says how many.

use super::{Node, Outcome, SOON, asked_for, pool, staging, target};
use crate::bed::request::{GIB, create, mount};
use ingot_harness::guest::GuestSpec;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const CUTS: usize = 20;
/// The power goes within this time after the first record is safe, in milliseconds.
const WITHIN: u64 = 6000;
/// Pools, which are names of volumes here too, and filesystems.
const VOLUMES: [(&str, &str); 2] = [("thin", "ext4"), ("thick", "xfs")];

/// Writes records to one file after the other, and says which are safe.
const WRITE: &str = r#"
n=0
while :; do
  n=$((n + 1))
  for file; do echo $n >>"$file"; sync "$file"; echo "$file $n"; done
done
"#;

/// Number of the last safe record of each file.
type Ledger = BTreeMap<String, u64>;

impl Node {
    /// Lets pods write until the power goes, which it does some time after the first record.
    async fn write_until_cut(
        &self,
        files: &[String],
        cut_after: Duration,
        round: usize,
    ) -> Outcome<Ledger> {
        let mut words = vec!["bash", "-c", WRITE, "write"];
        words.extend(files.iter().map(String::as_str));
        let mut writer = self.guest.command(&words)?;
        let mut writer = writer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = writer.stdout.take().ok_or("a pipe was asked for")?;
        let (say, hear) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens any more once the power is gone; what was said is kept in the queue.
                let _ = say.send(line);
            }
        });
        let first = hear.recv_timeout(SOON)?;
        let end = tokio::time::sleep(cut_after);
        tokio::select! {
            () = end => {}
            broken = self.churn(round) => broken?,
        }
        self.guest.power_cut()?;
        writer.wait()?;
        reader
            .join()
            .map_err(|_| "the reader of the records panicked")?;
        let mut safe = Ledger::new();
        for line in std::iter::once(first).chain(hear.try_iter()) {
            let (file, number) = line
                .split_once(' ')
                .ok_or("a record has a file and a number")?;
            safe.insert(file.to_owned(), number.parse()?);
        }
        Ok(safe)
    }

    /// A volume and a snapshot come and go, for ever.
    async fn churn(&self, round: usize) -> Outcome {
        loop {
            self.come_and_go(round).await?;
        }
    }

    async fn come_and_go(&self, round: usize) -> Outcome {
        let name = format!("passing-{round}");
        let request = create(&name, GIB / 4, &[("pool", "thin")]);
        let ask = async || self.create(request.clone()).await;
        let volume = self.until("creation", ask).await?;
        let name = format!("snapshot-{round}");
        let ask = async || self.snapshot(&name, &volume).await;
        let snapshot = self.until("snapshot", ask).await?;
        let ask = async || self.delete_snapshot(&snapshot).await;
        self.until("deletion of the snapshot", ask).await?;
        let ask = async || self.delete(&volume).await;
        self.until("deletion", ask).await
    }

    /// What kubelet does for the pods of a node that has just come up.
    async fn bring_back(&self, ids: &BTreeMap<&str, String>) -> Outcome {
        for (name, filesystem) in VOLUMES {
            let (id, what) = (&ids[name], mount(filesystem));
            self.until("stage", async || self.stage(id, name, &what).await)
                .await?;
            self.until("publish", async || self.publish(id, name, &what).await)
                .await?;
        }
        Ok(())
    }
}

fn pools(disks: &[String]) -> String {
    let (thin, thick) = disks.split_at(2);
    let rest = "    thin: { pool: pool, size: 6GiB }\n";
    pool("thin", thin, rest) + &pool("thick", thick, "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_survives_power_cuts() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let begin = Instant::now();
    let seed = match std::env::var("INGOT_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => rand::random::<u64>(),
    };
    let cuts = match std::env::var("INGOT_POWER_CUTS") {
        Ok(cuts) => cuts.parse()?,
        Err(_) => CUTS,
    };
    println!("  INGOT_SEED={seed}, {cuts} power cuts");
    let mut random = StdRng::seed_from_u64(seed);
    let spec = GuestSpec::new("csi-power").with_disks(3, 4 << 30);
    let node = Node::boot(spec, pools, &[]).await?;
    let (mut ids, mut wanted, mut mounts) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for (name, _) in VOLUMES {
        node.pod(name)?;
        let request = create(name, GIB, &[("pool", name)]);
        let ask = async || node.create(request.clone()).await;
        ids.insert(name, node.until("creation", ask).await?);
        wanted.insert(name.to_owned());
        mounts.extend([staging(name), target(name)]);
    }
    node.bring_back(&ids).await?;
    let mut ledger = Ledger::new();
    for round in 1..=cuts {
        let after = Duration::from_millis(random.random_range(0..WITHIN));
        let files = VOLUMES.map(|(name, _)| format!("{}/ledger-{round}", target(name)));
        let safe = node.write_until_cut(&files, after, round).await?;
        println!(
            "  cut {round} after {:.1} s: {} records safe; {} s",
            after.as_secs_f64(),
            safe.values().sum::<u64>(),
            begin.elapsed().as_secs()
        );
        ledger.extend(safe);
        node.guest.power_on()?;
        node.connect().await?;
        node.bring_back(&ids).await?;
        let checks: Vec<String> = ledger
            .iter()
            .map(|(file, count)| format!("cmp <(seq {count}) <(head -n {count} {file})"))
            .collect();
        node.sh(&checks.join("\n"))?;
        // Who was asking when the power went asks again.
        node.come_and_go(round).await?;
        let wrong = node.audit()?.complaints(&wanted, &mounts);
        if !wrong.is_empty() {
            return Err(format!("after cut {round}:\n{}", wrong.join("\n")).into());
        }
    }
    println!(
        "{cuts} power cuts, {} flushed records, all there, nothing lost or left; {:.0} s",
        ledger.values().sum::<u64>(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}
