//! The modelled world: API store, nodes with disks, writes on their way, and what was seen happen.

use ingot_volume_brain::{
    Bytes, Event, FilesystemTag, Intent, Known, LvState, OnDisk, Phase, Report, Use, Version,
    Volume, VolumeUid,
};
use std::collections::BTreeMap;

/// A rule left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Careless {
    /// None.
    Not,
    /// Claims are taken as written.
    CreatesWithoutClaim,
    /// What no object speaks of is removed at once.
    RemovesUnknown,
    /// A blank device is formatted whatever its tag says.
    FormatsByLookOnly,
    /// An agent begins while commands of its predecessor are under way.
    StartsBesideItsPast,
    /// The report is written before the disk.
    ReportsFirst,
    /// An agent takes every object as one of its own node.
    TakesEveryObject,
    /// A logical volume is made before its object has won its name.
    MakesBeforeObject,
    /// What is to be deleted is marked and stays.
    NeverRemoves,
    /// A volume that was reported ready is never reported again.
    ReportsReadyOnce,
}

/// The model: a world that such agents live in, with so many faults.
#[derive(Debug, Clone)]
pub struct Volumes {
    pub careless: Careless,
    pub faults: u8,
}

/// The object, as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    pub node: usize,
    pub intent: Intent,
}

/// A write on its way to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// The version it was decided on; none for a creation.
    pub on: Option<Version>,
    pub change: Change,
    /// The agent that waits for the answer: node, uid, its life.
    pub from: Option<(usize, VolumeUid, u8)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    Create { node: usize, uid: VolumeUid },
    Resize,
    Delete,
    Claim,
    Report(Report),
    Release,
}

/// What is on a modelled device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lv {
    pub state: LvState,
    pub size: Bytes,
    pub tag: FilesystemTag,
    /// Whether blkid finds a filesystem.
    pub formatted: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Counts its starts.
    pub life: u8,
    pub agents: BTreeMap<VolumeUid, Volume>,
    pub disk: BTreeMap<VolumeUid, Lv>,
    pub mounted: Option<VolumeUid>,
}

/// What was seen to happen, for the properties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    pub removed_live: bool,
    pub remade: bool,
    pub formatted: BTreeMap<VolumeUid, u8>,
    /// Lives that the API said were ready.
    pub ready: Vec<VolumeUid>,
    /// Lives that were refused by compare-and-swap.
    pub refused: Vec<VolumeUid>,
    pub created: bool,
    pub grown: bool,
    pub deleted: bool,
    pub lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct System {
    /// What its agents leave out.
    pub careless: Careless,
    pub version: u64,
    pub object: Option<Object>,
    /// What the object was before: a stale read shows it.
    pub before: Option<Object>,
    pub writes: Vec<Write>,
    pub nodes: [Node; 2],
    /// Commands of dead agents that may still reach the disk: node, uid, command.
    pub ghosts: Vec<(usize, VolumeUid, ingot_volume_brain::Command)>,
    pub lives: u8,
    pub faults: u8,
    pub losses: u8,
    pub seen: Seen,
}

pub const SMALL: Bytes = Bytes(1);
pub const LARGE: Bytes = Bytes(2);

impl System {
    pub fn new(model: &Volumes) -> Self {
        Self {
            careless: model.careless,
            version: 0,
            object: None,
            before: None,
            writes: Vec::new(),
            nodes: Default::default(),
            ghosts: Vec::new(),
            lives: 0,
            faults: model.faults,
            losses: 1,
            seen: Seen::default(),
        }
    }

    /// Applies a write if its version still holds.
    pub fn apply(&mut self, write: Write) -> bool {
        let version = Version(self.version + 1);
        let next = match (write.change, self.object) {
            (Change::Create { node, uid }, None) => Some(Object {
                node,
                intent: Intent {
                    uid,
                    version,
                    size: SMALL,
                    deleting: false,
                    report: Report::default(),
                },
            }),
            (Change::Create { uid, .. }, Some(_)) => {
                self.seen.refused.push(uid);
                return false;
            }
            (change, Some(object)) if write.on == Some(object.intent.version) => {
                let mut next = object;
                next.intent.version = version;
                match change {
                    Change::Release => {
                        self.seen.deleted |= self.seen.ready.contains(&object.intent.uid);
                        return self.replace(None);
                    }
                    Change::Resize => next.intent.size = LARGE,
                    Change::Delete => next.intent.deleting = true,
                    Change::Claim => next.intent.report.phase = Phase::Claimed,
                    Change::Report(report) => next.intent.report = report,
                    Change::Create { .. } => return false,
                }
                Some(next)
            }
            _ => return false,
        };
        self.version += 1;
        self.replace(next)
    }

    fn replace(&mut self, next: Option<Object>) -> bool {
        if let Some(Object { intent, .. }) = next {
            let Intent { uid, report, .. } = intent;
            if report.phase == Phase::Ready && !self.seen.ready.contains(&uid) {
                self.seen.ready.push(uid);
            }
            self.seen.created |= report.phase == Phase::Ready;
            self.seen.grown |= report.phase == Phase::Ready && report.size == LARGE;
            self.seen.lost |= report.phase == Phase::Lost;
        }
        self.before = self.object;
        self.object = next;
        true
    }

    /// Whether an agent takes that object as one of its node.
    fn owns(&self, node: usize, object: Object) -> bool {
        object.node == node || self.careless == Careless::TakesEveryObject
    }

    /// What a node learns of one life from an object.
    pub fn intent(&self, object: Option<Object>, node: usize, uid: VolumeUid) -> Known<Intent> {
        match object {
            Some(object) if self.owns(node, object) && object.intent.uid == uid => {
                Known::Present(object.intent)
            }
            _ => Known::Absent,
        }
    }

    /// Whether a careless agent passes over what its machine asks for.
    pub fn passes_over(&self, command: ingot_volume_brain::Command) -> bool {
        use ingot_volume_brain::Command::{RemoveLv, Report};
        match (self.careless, command) {
            (Careless::NeverRemoves, RemoveLv) => true,
            (Careless::ReportsReadyOnce, Report(..)) => self
                .object
                .is_some_and(|object| object.intent.report.phase == Phase::Ready),
            _ => false,
        }
    }

    pub fn on_disk(&self, node: usize, uid: VolumeUid) -> Known<OnDisk> {
        match self.nodes[node].disk.get(&uid) {
            None => Known::Absent,
            Some(lv) => Known::Present(OnDisk {
                uid,
                state: lv.state,
                size: lv.size,
                filesystem: lv.tag,
            }),
        }
    }

    pub fn usage(&self, node: usize, uid: VolumeUid) -> Use {
        if self.nodes[node].mounted == Some(uid) {
            Use::Published
        } else {
            Use::Idle
        }
    }

    /// Every life that a node could have to do with.
    pub fn uids(&self, node: usize) -> Vec<VolumeUid> {
        let known = &self.nodes[node];
        let mut uids: Vec<VolumeUid> = known
            .agents
            .keys()
            .chain(known.disk.keys())
            .copied()
            .collect();
        let owned = self.object.filter(|object| self.owns(node, *object));
        uids.extend(owned.map(|object| object.intent.uid));
        uids.sort_unstable();
        uids.dedup();
        uids
    }

    /// Two volumes behind one name: one life on two nodes, or a life that lost the race.
    pub fn doubled(&self) -> bool {
        let [a, b] = &self.nodes;
        let twice = a.disk.keys().any(|uid| b.disk.contains_key(uid));
        let mut all = a.disk.keys().chain(b.disk.keys());
        twice || all.any(|uid| self.seen.refused.contains(uid))
    }

    /// Nothing is on its way, and nobody who looks at the facts would do anything.
    pub fn quiet(&self) -> bool {
        self.writes.is_empty() && self.ghosts.is_empty() && (0..2).all(|node| self.rests(node))
    }

    fn rests(&self, node: usize) -> bool {
        self.uids(node).into_iter().all(|uid| {
            let mut volume = self.agent(node, uid);
            if volume.awaited().is_some() {
                return false;
            }
            let rests = |asked: Option<_>| asked.is_none_or(|command| self.passes_over(command));
            let events = self.facts(node, uid);
            events.into_iter().all(|event| rests(volume.on(event)))
        })
    }

    fn agent(&self, node: usize, uid: VolumeUid) -> Volume {
        let known = self.nodes[node].agents.get(&uid);
        known.cloned().unwrap_or_default()
    }

    /// What an agent learns that looks now.
    fn facts(&self, node: usize, uid: VolumeUid) -> [Event; 5] {
        [
            Event::Disk(Known::Unknown),
            Event::Retry,
            Event::Use(self.usage(node, uid)),
            Event::Intent(self.intent(self.object, node, uid)),
            Event::Disk(self.on_disk(node, uid)),
        ]
    }

    /// Whether an agent that looks now tells whom the deletion waits for.
    fn tells_of_users(&self, node: usize, uid: VolumeUid) -> bool {
        let mut volume = self.agent(node, uid);
        for event in self.facts(node, uid) {
            volume.on(event);
        }
        volume.in_use()
    }

    /// What a person would expect of a world at rest.
    pub fn converged(&self) -> bool {
        let stray = |node: usize| {
            self.nodes[node].disk.iter().any(|(uid, lv)| {
                let wanted = self
                    .object
                    .is_some_and(|o| o.node == node && o.intent.uid == *uid);
                !wanted && lv.state != LvState::Quarantined
            })
        };
        if stray(0) || stray(1) {
            return false;
        }
        let Some(Object { node, intent }) = self.object else {
            return true;
        };
        let uid = intent.uid;
        let lv = self.nodes[node].disk.get(&uid);
        match (intent.deleting, lv) {
            // Only a user keeps a volume that is to go, and who asked is told so.
            (true, lv) => {
                let used = self.usage(node, uid) == Use::Published;
                lv.is_some() && used && self.tells_of_users(node, uid)
            }
            (false, None) => intent.report.phase == Phase::Lost,
            (false, Some(lv)) => {
                lv.state == LvState::Ready
                    && intent.report.phase == Phase::Ready
                    && intent.report.size == lv.size
                    && lv.size == intent.size
            }
        }
    }
}
