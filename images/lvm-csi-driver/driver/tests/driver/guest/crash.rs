//! Agent and controller die by `kill -9` before and after each command that changes the machine and
//! each write of an object, and in the middle of the commands, in the life of a volume with a
//! snapshot and a copy of it: on real LVM, where a command that is killed leaves what it leaves.
//!
//! The points are found by a first life in which nothing dies. In each further life every request
//! meets one death, each time another one. The service manager starts the dead again, the caller asks
//! again, and then LVM, the kernel and the objects must agree.
//!
//! `INGOT_CRASH_LIVES` says in how many lives, or `all`; fewer than there are points choose evenly.
//! All points, with power cuts as well, are met on the simulator: `tests/driver/crash.rs`.

use super::{Node, Outcome, RECORDS, asked_for, pool, staging, target};
use crate::bed::request::{GIB, create, mount};
use ingot_csi_proto::v1;
use ingot_harness::guest::GuestSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tonic::Status;

/// How many lives, unless the variable says otherwise.
const LIVES: usize = 6;
/// In how many moments of each command the driver dies.
const MOMENTS: u64 = 3;
/// Commands that are over before they could be met are left out, in milliseconds.
const SHORT: u64 = 40;
const POINTS: &str = "/run/crash";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    Create,
    Stage,
    Publish,
    Snapshot,
    Expand,
    ExpandNode,
    Copy,
    StageCopy,
    UnstageCopy,
    Unpublish,
    Unstage,
    DeleteCopy,
    DeleteSnapshot,
    Delete,
}

const LIFE: [Ask; 14] = [
    Ask::Create,
    Ask::Stage,
    Ask::Publish,
    Ask::Snapshot,
    Ask::Expand,
    Ask::ExpandNode,
    Ask::Copy,
    Ask::StageCopy,
    Ask::UnstageCopy,
    Ask::Unpublish,
    Ask::Unstage,
    Ask::DeleteCopy,
    Ask::DeleteSnapshot,
    Ask::Delete,
];

/// Where and when a part of the driver dies.
#[derive(Debug, Clone)]
struct Point {
    part: String,
    /// The number of the point among those of its part, from 1.
    count: usize,
    /// Milliseconds after it.
    delay: u64,
    step: String,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (part, count, delay, step) = (&self.part, self.count, self.delay, &self.step);
        write!(f, "{part} dies {delay} ms after its point {count}, {step}")
    }
}

/// One volume from its creation to its end, and what is to be true of it.
struct Life<'a> {
    node: &'a Node,
    name: String,
    filesystem: v1::VolumeCapability,
    volume: String,
    snapshot: String,
    copy: String,
    wanted: BTreeSet<String>,
    mounts: BTreeSet<String>,
    /// LVM's own identity of each logical volume: one that was made again has another.
    identities: BTreeMap<String, String>,
}

impl<'a> Life<'a> {
    fn new(node: &'a Node, number: usize) -> Outcome<Self> {
        let name = format!("volume-{number}");
        node.pod(&name)?;
        node.pod(&format!("{name}-copy"))?;
        Ok(Self {
            node,
            name,
            filesystem: mount(if number.is_multiple_of(2) {
                "ext4"
            } else {
                "xfs"
            }),
            volume: String::new(),
            snapshot: String::new(),
            copy: String::new(),
            wanted: BTreeSet::new(),
            mounts: BTreeSet::new(),
            identities: BTreeMap::new(),
        })
    }

    async fn ask(&mut self, ask: Ask) -> Result<(), Status> {
        let (node, name, what) = (self.node, &self.name, &self.filesystem);
        let thin = [("pool", "thin")];
        let copy = format!("{name}-copy");
        match ask {
            Ask::Create => self.volume = node.create(create(name, GIB / 2, &thin)).await?,
            Ask::Stage => node.stage(&self.volume, name, what).await?,
            Ask::Publish => node.publish(&self.volume, name, what).await?,
            Ask::Snapshot => {
                let snapshot = format!("{name}-snapshot");
                self.snapshot = node.snapshot(&snapshot, &self.volume).await?;
            }
            Ask::Expand => node.expand(&self.volume, GIB).await?,
            Ask::ExpandNode => node.expand_node(&self.volume, name).await?,
            // Larger than its source: a copy, then growth, then ready.
            Ask::Copy => {
                let request = create(&copy, GIB, &thin);
                self.copy = node.copy(request, &self.snapshot).await?;
            }
            Ask::StageCopy => node.stage(&self.copy, &copy, what).await?,
            Ask::UnstageCopy => node.unstage(&self.copy, &copy).await?,
            Ask::Unpublish => node.unpublish(&self.volume, name).await?,
            Ask::Unstage => node.unstage(&self.volume, name).await?,
            Ask::DeleteCopy => node.delete(&self.copy).await?,
            Ask::DeleteSnapshot => node.delete_snapshot(&self.snapshot).await?,
            Ask::Delete => node.delete(&self.volume).await?,
        }
        Ok(())
    }

    /// What is true once it was answered well.
    fn done(&mut self, ask: Ask) -> Outcome {
        let (name, copy) = (self.name.clone(), format!("{}-copy", self.name));
        let snapshot = format!("{name}-snapshot");
        match ask {
            Ask::Create => drop(self.wanted.insert(name)),
            Ask::Snapshot => drop(self.wanted.insert(snapshot)),
            Ask::Copy => drop(self.wanted.insert(copy)),
            Ask::Delete => drop(self.wanted.remove(&name)),
            Ask::DeleteSnapshot => drop(self.wanted.remove(&snapshot)),
            Ask::DeleteCopy => drop(self.wanted.remove(&copy)),
            Ask::Stage => drop(self.mounts.insert(staging(&name))),
            Ask::Publish => {
                self.mounts.insert(target(&name));
                let file = format!("{}/file", target(&name));
                self.node.sh(&format!("echo {name} >{file}; sync {file}"))?;
            }
            Ask::StageCopy => {
                self.mounts.insert(staging(&copy));
                let file = format!("{}/file", staging(&copy));
                self.node.sh(&format!("grep -qx {name} {file}"))?;
            }
            Ask::UnstageCopy => drop(self.mounts.remove(&staging(&copy))),
            Ask::Unpublish => drop(self.mounts.remove(&target(&name))),
            Ask::Unstage => drop(self.mounts.remove(&staging(&name))),
            Ask::Expand | Ask::ExpandNode => {}
        }
        Ok(())
    }

    /// LVM, the kernel, the objects and the caller agree, and the pod reads and writes.
    fn check(&mut self) -> Outcome {
        let audit = self.node.audit()?;
        let mut wrong = audit.complaints(&self.wanted, &self.mounts);
        for (lv, found) in &audit.lvs {
            let known = self.identities.entry(lv.clone());
            if *known.or_insert_with(|| found.lv_uuid.clone()) != found.lv_uuid {
                wrong.push(format!("{lv} was made again"));
            }
        }
        self.identities.retain(|lv, _| audit.lvs.contains_key(lv));
        let target = target(&self.name);
        if self.mounts.contains(&target) {
            let file = format!("{target}/file");
            let works = format!(
                "timeout 60 bash -euc 'grep -qx {} {file}; date >{target}/other; sync {target}/other'",
                self.name
            );
            if !self.node.succeeds(&works)? {
                wrong.push(format!("{target} does not read and write"));
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(wrong.join("\n").into()),
        }
    }

    /// All requests, each with the death that is meant for it. Gives the points that were passed.
    async fn live(&mut self, deaths: &BTreeMap<Ask, Point>) -> Outcome<BTreeMap<Ask, Vec<Point>>> {
        let mut passed = BTreeMap::new();
        for ask in LIFE {
            let before = self.node.deaths()?;
            let armed = deaths.get(&ask);
            let arm = match armed {
                Some(Point {
                    part, count, delay, ..
                }) => format!("echo {part} {count} {delay} >{POINTS}/armed"),
                None => "true".into(),
            };
            self.node.sh(&format!("rm -f {POINTS}/*; {arm}"))?;
            let death = armed.map(Point::to_string).unwrap_or_default();
            let what = format!("{} {ask:?}: {death}", self.name);
            let node = self.node;
            // Not by `until`, which takes what it asks by reference.
            let end = Instant::now() + super::SOON;
            while let Err(status) = self.ask(ask).await {
                if Instant::now() >= end {
                    return Err(format!("{what}: still {status}\n{}", node.log()).into());
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            let more = usize::from(armed.is_some());
            while node.deaths()? < before + more {
                if Instant::now() >= end {
                    return Err(format!("{what}: nobody died").into());
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            // The tag of a filesystem follows by itself; its points are those of the request before,
            // not of the one after, on a slow machine and on a fast one.
            while node.succeeds(&format!("ls -A {RECORDS} | grep -q ."))? {
                if Instant::now() >= end {
                    return Err(format!("{what}: a tag does not follow its record").into());
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            self.done(ask)
                .and_then(|()| self.check())
                .map_err(|wrong| format!("{what}:\n{wrong}\n{}", node.log()))?;
            passed.insert(
                ask,
                points(&node.sh(&format!("cat {POINTS}/passed || true"))?),
            );
        }
        Ok(passed)
    }
}

impl Node {
    /// How often the parts of the driver have died.
    fn deaths(&self) -> Outcome<usize> {
        let counts = self.sh("systemctl show --value -p NRestarts csi-agent csi-controller")?;
        let counts: Result<Vec<usize>, _> = counts.split_whitespace().map(str::parse).collect();
        Ok(counts?.into_iter().sum())
    }

    /// The last words of the driver and of the kernel.
    fn log(&self) -> String {
        let log = "journalctl --no-pager -n 40 -o short-precise";
        let devices = "lvs -a -o +lv_tags; dmsetup info -c";
        self.sh(&format!("{log}; timeout 20 bash -c '{devices}' 2>&1"))
            .unwrap_or_else(|error| error.to_string())
    }
}

/// The points in the order in which they were passed, and moments within the commands.
fn points(passed: &str) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut begun: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for line in passed.lines() {
        let mut words = line.splitn(4, ' ');
        let (Some(part), Some(side), Some(time), Some(step)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let time: u64 = time.parse().unwrap_or_default();
        let count = counts.entry(part).or_default();
        *count += 1;
        let point = |count: usize, delay: u64, side: &str| Point {
            part: part.into(),
            count,
            delay,
            step: format!("{side} {step}"),
        };
        match begun.remove(step).filter(|_| side == "after") {
            None => drop(begun.insert(step, (*count, time))),
            Some((count, since)) => {
                let took = time.saturating_sub(since);
                if took >= SHORT && !step.starts_with("object: ") {
                    let delays = (0..MOMENTS).map(|n| took * (2 * n + 1) / (2 * MOMENTS));
                    points.extend(delays.map(|delay| point(count, delay.max(1), "within")));
                }
            }
        }
        points.push(point(*count, 0, side));
    }
    points
}

/// The deaths of each life: with as many lives as the longest list has points, every point.
fn deaths(all: &BTreeMap<Ask, Vec<Point>>, lives: usize) -> Vec<BTreeMap<Ask, Point>> {
    let mut chosen = vec![BTreeMap::new(); lives];
    for (ask, points) in all {
        for (life, deaths) in chosen.iter_mut().enumerate() {
            let index = match points.len() <= lives {
                true => life,
                false => (2 * life + 1) * points.len() / (2 * lives),
            };
            if let Some(point) = points.get(index) {
                deaths.insert(*ask, point.clone());
            }
        }
    }
    chosen
}

fn pools(disks: &[String]) -> String {
    let rest = "    thin: { pool: pool, size: 6GiB, guard: { ratio: 2 } }\n";
    pool("thin", disks, rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_point_of_death_converges_on_real_lvm() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let begin = Instant::now();
    let spec = GuestSpec::new("csi-crash").with_disks(2, 8 << 30);
    let node = Node::boot(spec, pools, &[("INGOT_CRASH_POINTS", POINTS)]).await?;
    // Beside it each request would have other points each time.
    node.overwritten().await?;
    // The driver leaves it alone while it is not there.
    node.sh(&format!("mkdir {POINTS}"))?;
    let all = Life::new(&node, 0)?.live(&BTreeMap::new()).await?;
    let total: usize = all.values().map(Vec::len).sum();
    let most = all.values().map(Vec::len).max().unwrap_or_default();
    let lives = match std::env::var("INGOT_CRASH_LIVES").as_deref() {
        Ok("all") => most,
        Ok(number) => number.parse()?,
        Err(_) => LIVES,
    };
    let chosen = deaths(&all, lives);
    let count: usize = chosen.iter().map(BTreeMap::len).sum();
    println!("  {total} points, {count} deaths in {lives} lives");
    assert!(total > 60, "the life has only {total} points: {all:?}");
    for (number, deaths) in chosen.into_iter().enumerate() {
        Life::new(&node, number + 1)?.live(&deaths).await?;
        let so_far = begin.elapsed().as_secs();
        println!("  life {}: {} deaths, {so_far} s", number + 1, deaths.len());
    }
    println!(
        "{count} of {total} points of death on real LVM, all converged, {:.0} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}
