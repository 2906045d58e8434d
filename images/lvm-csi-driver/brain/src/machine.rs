//! The state machine of one volume on the node that owns it.
//!
//! Every decision is made from two facts: what the API holds and what the disk holds. Both are
//! unknown after a start and after every command that changes them, until they are read again, so
//! a crash or a lost answer needs no code of its own. The order of writes is always intent, disk,
//! report; so whatever a crash leaves has a name:
//!
//! | API | disk | means |
//! |---|---|---|
//! | pending | no | make it, after a claim |
//! | ready | no | lost: never made again |
//! | no | yes | quarantine: never removed |
//! | deleting | yes | remove it |
//! | deleting | no | release the object |

use crate::bytes::Bytes;
use crate::command::Command;
use crate::disk::{LvState, OnDisk};
use crate::event::{Event, Failure, Known, Use};
use crate::intent::{Intent, Phase, Report, Version};
use serde::{Deserialize, Serialize};

/// Where a volume is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Neither wanted nor there.
    Absent,
    /// Wanted and not ready yet.
    Creating,
    /// There, and nobody uses it.
    Ready,
    /// There, and in use on this node.
    Published,
    /// There, and smaller than wanted.
    Expanding,
    /// On its way out.
    Deleting,
    /// There, and nobody wants it: kept until a person decides.
    Quarantined,
    /// It was ready and is gone: reported as loss of data.
    Lost,
}

/// One volume, on its owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Volume {
    intent: Known<Intent>,
    disk: Known<OnDisk>,
    usage: Use,
    /// The newest version that was ever shown; what is older is an echo.
    seen: Version,
    /// A claim was written and not yet spent.
    claimed: bool,
    /// The command whose result is awaited.
    awaited: Option<Command>,
    /// What was refused, with the wanted size it was refused for.
    refused: Option<Bytes>,
    /// The deletion that was asked for was seen.
    deleting: bool,
    /// The last command failed; nothing is tried before the next [`Event::Retry`].
    parked: bool,
    state: Option<State>,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            intent: Known::Unknown,
            disk: Known::Unknown,
            usage: Use::Idle,
            seen: Version(0),
            claimed: false,
            awaited: None,
            refused: None,
            deleting: false,
            parked: false,
            state: None,
        }
    }
}

impl Volume {
    /// Takes in what happened and says what to do next, if anything.
    pub fn on(&mut self, event: Event) -> Option<Command> {
        match event {
            Event::Intent(Known::Present(intent)) if intent.version < self.seen => {}
            Event::Intent(intent) => self.learn(intent),
            Event::Disk(disk) => self.disk = disk,
            Event::Use(usage) => self.usage = usage,
            Event::Done => self.finished(None),
            Event::Failed(failure) => self.finished(Some(failure)),
            Event::Retry => self.parked = false,
        }
        if self.awaited.is_some() {
            return None;
        }
        let (Known::Absent | Known::Present(_), Known::Absent | Known::Present(_)) =
            (self.intent, self.disk)
        else {
            return None;
        };
        let (state, command) = self.decide();
        self.state = Some(state);
        let command = command.filter(|_| !self.parked)?;
        if command == Command::CreateLv {
            // Spent: another attempt needs another claim, since the first may have worked.
            self.claimed = false;
        }
        self.awaited = Some(command);
        Some(command)
    }

    /// Where the volume is, once both facts were known.
    pub fn state(&self) -> Option<State> {
        self.state
    }

    /// The command whose result is awaited.
    pub fn awaited(&self) -> Option<Command> {
        self.awaited
    }

    /// Whether it waits for [`Event::Retry`].
    pub fn parked(&self) -> bool {
        self.parked
    }

    /// Whether it is to be deleted, and waits only for those who use it.
    pub fn in_use(&self) -> bool {
        let leaving = matches!(self.intent, Known::Present(intent) if intent.deleting);
        leaving && matches!(self.disk, Known::Present(_)) && self.usage == Use::Published
    }

    fn learn(&mut self, intent: Known<Intent>) {
        if let Known::Present(new) = intent {
            // Once: what fails in a deletion is not tried again at every look.
            let to_go = new.deleting && !self.deleting;
            if self.refused.is_some_and(|size| size != new.size) || to_go {
                self.refused = None;
                self.parked = false;
            }
            self.deleting = new.deleting;
            self.seen = new.version;
        }
        self.intent = intent;
    }

    fn finished(&mut self, failure: Option<Failure>) {
        let Some(command) = self.awaited.take() else {
            return;
        };
        if command.on_disk() {
            self.disk = Known::Unknown;
        } else {
            self.intent = Known::Unknown;
        }
        match (failure, command) {
            (None, Command::Claim(_)) => self.claimed = true,
            (None | Some(Failure::Conflict), _) => {}
            (Some(Failure::NoSpace | Failure::Impossible), Command::CreateLv) => {
                self.refused = Some(self.wanted());
            }
            (Some(Failure::NoSpace | Failure::Impossible), Command::Grow(to)) => {
                self.refused = Some(to);
            }
            (Some(_), _) => self.parked = true,
        }
    }

    fn wanted(&self) -> Bytes {
        match self.intent {
            Known::Present(intent) => intent.size,
            _ => Bytes::ZERO,
        }
    }

    fn decide(&self) -> (State, Option<Command>) {
        match (self.intent, self.disk) {
            (Known::Present(intent), Known::Present(disk)) => self.both(intent, disk),
            (Known::Present(intent), _) => self.only_wanted(intent),
            (_, Known::Present(disk)) => unwanted(disk),
            _ => (State::Absent, None),
        }
    }

    fn only_wanted(&self, intent: Intent) -> (State, Option<Command>) {
        let version = intent.version;
        if intent.deleting {
            return (State::Deleting, Some(Command::Release(version)));
        }
        match intent.report.phase {
            Phase::Pending | Phase::Claimed if self.refused.is_some() => (
                State::Absent,
                report(intent, Phase::Refused, Bytes::ZERO, self.refused),
            ),
            Phase::Pending | Phase::Claimed if self.claimed => {
                (State::Creating, Some(Command::CreateLv))
            }
            Phase::Pending | Phase::Claimed => (State::Creating, Some(Command::Claim(version))),
            Phase::Refused => (State::Absent, None),
            Phase::Ready | Phase::Lost => {
                let size = intent.report.size;
                (State::Lost, report(intent, Phase::Lost, size, None))
            }
        }
    }

    fn both(&self, intent: Intent, disk: OnDisk) -> (State, Option<Command>) {
        if intent.deleting {
            return match (disk.state, self.usage) {
                (_, Use::Published) => (State::Published, None),
                (LvState::Deleting, Use::Idle) => (State::Deleting, Some(Command::RemoveLv)),
                (_, Use::Idle) => (State::Deleting, Some(Command::MarkDeleting)),
            };
        }
        let at_rest = match self.usage {
            Use::Idle => State::Ready,
            Use::Published => State::Published,
        };
        let smaller = disk.size < intent.size;
        let growth =
            (smaller && self.refused != Some(intent.size)).then_some(Command::Grow(intent.size));
        match disk.state {
            // Removal is decided in the API first and cannot be taken back there: nobody of ours
            // wrote this. It is not for us to undo, or to finish.
            LvState::Deleting => (State::Quarantined, None),
            LvState::New if growth.is_some() => (State::Creating, growth),
            // Too large for its pool: the half-made copy goes by the way of every deletion.
            LvState::New if smaller => (
                State::Creating,
                report(intent, Phase::Refused, disk.size, self.refused),
            ),
            LvState::New | LvState::Quarantined => (State::Creating, Some(Command::MarkReady)),
            LvState::Ready if growth.is_some() => (State::Expanding, growth),
            LvState::Ready => {
                let refused = self.refused.filter(|_| smaller);
                (at_rest, report(intent, Phase::Ready, disk.size, refused))
            }
        }
    }
}

/// An LV that the API knows nothing of. Only a removal that was already decided goes on.
fn unwanted(disk: OnDisk) -> (State, Option<Command>) {
    match disk.state {
        LvState::Deleting => (State::Deleting, Some(Command::RemoveLv)),
        LvState::Quarantined => (State::Quarantined, None),
        LvState::New | LvState::Ready => (State::Quarantined, Some(Command::Quarantine)),
    }
}

fn report(intent: Intent, phase: Phase, size: Bytes, refused: Option<Bytes>) -> Option<Command> {
    let report = Report {
        phase,
        size,
        refused,
    };
    (intent.report != report).then_some(Command::Report(intent.version, report))
}

#[cfg(test)]
mod tests;
