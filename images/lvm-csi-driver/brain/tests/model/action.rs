//! What can happen next in the modelled world.

use super::system::{Careless, Change, LARGE, Lv, Object, System, Volumes, Write};
use ingot_volume_brain::format::{self, Signature, Step};
use ingot_volume_brain::{
    Command, Event, Failure, FilesystemTag, Known, LvState, Phase, Report, Volume, VolumeUid,
};
use serde::{Deserialize, Serialize};

/// What a read of the API shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// The object as it is.
    Now,
    /// As it was before its last change.
    Before,
    /// Nothing: a cache that is not filled yet.
    Nothing,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A controller asks for the volume on that node.
    Create { node: usize },
    /// A controller asks for more.
    Resize,
    /// A controller asks for deletion.
    Delete,
    /// A write arrives and is answered.
    Arrive { write: usize },
    /// A write arrives, the answer is lost.
    ArriveUnanswered { write: usize },
    /// A write arrives, and will arrive once more.
    ArriveTwice { write: usize },
    /// An agent reads API and disk; a stale read shows the object as it was before.
    Look {
        node: usize,
        uid: VolumeUid,
        view: View,
    },
    /// The disk command that an agent waits for is done.
    Perform { node: usize, uid: VolumeUid },
    /// It is done, and the answer is lost.
    PerformUnanswered { node: usize, uid: VolumeUid },
    /// An agent tries again.
    Retry { node: usize, uid: VolumeUid },
    /// The agents of a node die and start; its disk command may still be under way.
    Crash { node: usize },
    /// It lands after all.
    Ghost { ghost: usize },
    /// It was never done.
    GhostEnds { ghost: usize },
    /// A logical volume disappears.
    Lose { node: usize, uid: VolumeUid },
    /// A device shows nothing of what was written to it.
    Blank { node: usize, uid: VolumeUid },
    /// A pod needs the volume: the next step towards its mount.
    Stage { node: usize, uid: VolumeUid },
    /// The pod is gone.
    Unstage { node: usize },
}

/// Everything that can happen now.
pub fn possible(model: &Volumes, system: &System, actions: &mut Vec<Action>) {
    if system.lives < 2 && system.object.is_none() {
        // The nodes are alike: the first is called 0.
        let nodes = if system.lives == 0 { 0..1 } else { 0..2 };
        actions.extend(nodes.map(|node| Action::Create { node }));
    }
    // One wish of a controller at a time: it is asked again only after an answer.
    let asked = system.writes.iter().any(|write| write.from.is_none());
    if let Some(Object { intent, .. }) = system.object
        && !intent.deleting
        && !asked
        && intent.report.phase != Phase::Pending
    {
        if intent.size < LARGE && intent.report.phase == Phase::Ready {
            actions.push(Action::Resize);
        }
        actions.push(Action::Delete);
    }
    let faulty = system.faults > 0;
    for write in 0..system.writes.len() {
        actions.push(Action::Arrive { write });
        if faulty && system.writes[write].from.is_some() {
            actions.push(Action::ArriveUnanswered { write });
            actions.push(Action::ArriveTwice { write });
        }
    }
    for ghost in 0..system.ghosts.len() {
        actions.push(Action::Ghost { ghost });
        actions.push(Action::GhostEnds { ghost });
    }
    for node in 0..2 {
        let past = system.ghosts.iter().any(|(of, ..)| *of == node);
        for uid in system.uids(node) {
            // An agent begins when the commands of its predecessor have ended, one way or other.
            if past && model.careless != Careless::StartsBesideItsPast {
                break;
            }
            let agent = system.nodes[node].agents.get(&uid);
            match agent.and_then(Volume::awaited) {
                Some(command) if command.on_disk() => {
                    actions.push(Action::Perform { node, uid });
                    if faulty {
                        actions.push(Action::PerformUnanswered { node, uid });
                    }
                }
                Some(_) => {}
                None => {
                    actions.push(Action::Look {
                        node,
                        uid,
                        view: View::Now,
                    });
                    if faulty {
                        actions.push(Action::Look {
                            node,
                            uid,
                            view: View::Before,
                        });
                        actions.push(Action::Look {
                            node,
                            uid,
                            view: View::Nothing,
                        });
                    }
                    if agent.is_some_and(Volume::parked) {
                        actions.push(Action::Retry { node, uid });
                    }
                }
            }
            let lv = system.nodes[node].disk.get(&uid);
            if lv.is_some() && system.losses > 0 && system.nodes[node].mounted.is_none() {
                actions.push(Action::Lose { node, uid });
                if lv.is_some_and(|lv| lv.formatted && lv.tag == FilesystemTag::Formatted) {
                    actions.push(Action::Blank { node, uid });
                }
            }
            let served = system.seen.ready.contains(&uid);
            if lv.is_some_and(|lv| lv.state == LvState::Ready) && served {
                actions.push(Action::Stage { node, uid });
            }
        }
        if system.nodes[node].mounted.is_some() {
            actions.push(Action::Unstage { node });
        }
        if faulty && !system.nodes[node].agents.is_empty() {
            actions.push(Action::Crash { node });
        }
    }
}

/// Lets it happen.
pub fn carry_out(model: &Volumes, system: &mut System, action: Action) {
    match action {
        Action::Create { node } => {
            let uid = VolumeUid(u128::from(system.lives));
            system.lives += 1;
            if model.careless == Careless::MakesBeforeObject {
                land(system, node, uid, Command::CreateLv);
            }
            send(system, None, Change::Create { node, uid }, None);
        }
        Action::Resize => wish(system, Change::Resize),
        Action::Delete => wish(system, Change::Delete),
        Action::Arrive { write } => arrive(model, system, write, true),
        Action::ArriveUnanswered { write } => {
            system.faults -= 1;
            arrive(model, system, write, false);
        }
        Action::ArriveTwice { write } => {
            system.faults -= 1;
            let again = Write {
                from: None,
                ..system.writes[write]
            };
            arrive(model, system, write, true);
            system.writes.push(again);
            system.writes.sort_unstable();
        }
        Action::Look { node, uid, view } => look(model, system, node, uid, view),
        Action::Perform { node, uid } => {
            if let Some(command) = awaited(system, node, uid) {
                land(system, node, uid, command);
                tell(model, system, node, uid, Event::Done);
            }
        }
        Action::PerformUnanswered { node, uid } => {
            system.faults -= 1;
            if let Some(command) = awaited(system, node, uid) {
                land(system, node, uid, command);
                tell(model, system, node, uid, Event::Failed(Failure::Transient));
            }
        }
        Action::Retry { node, uid } => tell(model, system, node, uid, Event::Retry),
        Action::Crash { node } => crash(system, node),
        Action::Ghost { ghost } => {
            let (node, uid, command) = system.ghosts.remove(ghost);
            land(system, node, uid, command);
        }
        Action::GhostEnds { ghost } => {
            system.ghosts.remove(ghost);
        }
        Action::Lose { node, uid } => {
            system.losses -= 1;
            system.nodes[node].disk.remove(&uid);
        }
        Action::Blank { node, uid } => {
            system.losses -= 1;
            if let Some(lv) = system.nodes[node].disk.get_mut(&uid) {
                lv.formatted = false;
            }
        }
        Action::Stage { node, uid } => stage(model, system, node, uid),
        Action::Unstage { node } => system.nodes[node].mounted = None,
    }
}

fn send(
    system: &mut System,
    on: Option<ingot_volume_brain::Version>,
    change: Change,
    from: Option<(usize, VolumeUid, u8)>,
) {
    system.writes.push(Write { on, change, from });
    system.writes.sort_unstable();
}

fn wish(system: &mut System, change: Change) {
    if let Some(object) = system.object {
        send(system, Some(object.intent.version), change, None);
    }
}

fn awaited(system: &System, node: usize, uid: VolumeUid) -> Option<Command> {
    system.nodes[node]
        .agents
        .get(&uid)
        .and_then(Volume::awaited)
}

/// An event for an agent; what it asks for is sent on its way.
fn tell(model: &Volumes, system: &mut System, node: usize, uid: VolumeUid, event: Event) {
    let agent = system.nodes[node].agents.entry(uid).or_default();
    let Some(command) = agent.on(event) else {
        return;
    };
    let life = system.nodes[node].life;
    let from = Some((node, uid, life));
    match command {
        // As if it were done: the next look asks for it again, and nothing ever happens.
        command if system.passes_over(command) => {
            tell(model, system, node, uid, Event::Done);
        }
        Command::Claim(_) if model.careless == Careless::CreatesWithoutClaim => {
            tell(model, system, node, uid, Event::Done);
        }
        Command::Claim(on) if model.careless == Careless::ReportsFirst => {
            let report = Report {
                phase: Phase::Ready,
                size: super::system::SMALL,
                refused: None,
            };
            send(system, Some(on), Change::Report(report), from);
        }
        Command::Claim(on) => send(system, Some(on), Change::Claim, from),
        Command::Report(on, report) => send(system, Some(on), Change::Report(report), from),
        Command::Release(on) => send(system, Some(on), Change::Release, from),
        Command::Quarantine if model.careless == Careless::RemovesUnknown => {
            land(system, node, uid, Command::RemoveLv);
            tell(model, system, node, uid, Event::Done);
        }
        Command::CreateLv
        | Command::Grow(_)
        | Command::MarkReady
        | Command::MarkDeleting
        | Command::RemoveLv
        | Command::Quarantine => {}
    }
}

fn arrive(model: &Volumes, system: &mut System, write: usize, answered: bool) {
    let write = system.writes.remove(write);
    let applied = system.apply(write);
    let Some((node, uid, life)) = write.from else {
        return;
    };
    let event = match (answered, applied) {
        (false, _) => Event::Failed(Failure::Transient),
        (true, true) => Event::Done,
        (true, false) => Event::Failed(Failure::Conflict),
    };
    // Nobody waits for it any more after a crash.
    if system.nodes[node].life == life {
        tell(model, system, node, uid, event);
    }
}

fn look(model: &Volumes, system: &mut System, node: usize, uid: VolumeUid, view: View) {
    let object = match view {
        View::Now => system.object,
        View::Before => system.before,
        View::Nothing => None,
    };
    if view != View::Now {
        system.faults -= 1;
    }
    let events = [
        Event::Disk(Known::Unknown),
        Event::Use(system.usage(node, uid)),
        Event::Intent(system.intent(object, node, uid)),
        Event::Disk(system.on_disk(node, uid)),
    ];
    for event in events {
        tell(model, system, node, uid, event);
    }
}

/// A command reaches the disk: once made is made, once removed is removed.
fn land(system: &mut System, node: usize, uid: VolumeUid, command: Command) {
    let live = system.object.is_some_and(|object| {
        object.node == node && object.intent.uid == uid && !object.intent.deleting
    });
    let disk = &mut system.nodes[node].disk;
    match (command, disk.get_mut(&uid)) {
        (Command::CreateLv, None) => {
            disk.insert(
                uid,
                Lv {
                    state: LvState::Ready,
                    size: super::system::SMALL,
                    tag: FilesystemTag::Unformatted,
                    formatted: false,
                },
            );
            system.seen.remade |= system.seen.ready.contains(&uid);
        }
        (Command::Grow(to), Some(lv)) => lv.size = lv.size.max(to),
        (Command::MarkReady, Some(lv)) => lv.state = LvState::Ready,
        (Command::MarkDeleting, Some(lv)) => lv.state = LvState::Deleting,
        (Command::Quarantine, Some(lv)) => lv.state = LvState::Quarantined,
        (Command::RemoveLv, Some(_)) if system.nodes[node].mounted != Some(uid) => {
            system.nodes[node].disk.remove(&uid);
            system.seen.removed_live |= live;
        }
        _ => {}
    }
}

fn crash(system: &mut System, node: usize) {
    system.faults -= 1;
    let agents = std::mem::take(&mut system.nodes[node].agents);
    system.nodes[node].life += 1;
    for (uid, agent) in agents {
        if let Some(command) = agent.awaited().filter(|command| command.on_disk()) {
            system.ghosts.push((node, uid, command));
        }
    }
    for write in &mut system.writes {
        // Its answer will not be heard.
        if write.from.is_some_and(|(from, ..)| from == node) {
            write.from = None;
        }
    }
}

/// One step towards a mounted filesystem; a crash between two steps needs no action of its own,
/// since nothing is remembered but the tag.
fn stage(model: &Volumes, system: &mut System, node: usize, uid: VolumeUid) {
    let Some(lv) = system.nodes[node].disk.get_mut(&uid) else {
        return;
    };
    let found = if lv.formatted {
        Signature::Wanted
    } else {
        Signature::Blank
    };
    let step = match (model.careless, found) {
        (Careless::FormatsByLookOnly, Signature::Blank) => Step::MakeFilesystem,
        (Careless::FormatsByLookOnly, _) if lv.tag != FilesystemTag::Formatted => {
            Step::TagFormatted
        }
        _ => format::next(lv.tag, found),
    };
    match step {
        Step::MakeFilesystem => {
            lv.formatted = true;
            *system.seen.formatted.entry(uid).or_default() += 1;
        }
        Step::TagFormatted => lv.tag = FilesystemTag::Formatted,
        Step::Mount => system.nodes[node].mounted = Some(uid),
        Step::Refuse(_) => {}
    }
}
