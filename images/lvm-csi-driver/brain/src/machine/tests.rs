use super::*;
use crate::disk::FilesystemTag;
use crate::name::VolumeUid;

const UID: VolumeUid = VolumeUid(7);
const SIZE: Bytes = Bytes::gib(1);

fn intent(version: u64) -> Intent {
    Intent {
        uid: UID,
        version: Version(version),
        size: SIZE,
        deleting: false,
        report: Report::default(),
    }
}

fn ready(version: u64) -> Intent {
    let report = Report {
        phase: Phase::Ready,
        size: SIZE,
        refused: None,
    };
    Intent {
        report,
        ..intent(version)
    }
}

fn disk(state: LvState) -> Known<OnDisk> {
    Known::Present(OnDisk {
        uid: UID,
        state,
        size: SIZE,
        filesystem: FilesystemTag::Unformatted,
    })
}

/// A volume that was shown both, and what it asks for.
fn shown(intent: Known<Intent>, disk: Known<OnDisk>) -> (Volume, Option<Command>) {
    let mut volume = Volume::default();
    assert_eq!(
        volume.on(Event::Intent(intent)),
        None,
        "the disk is unknown"
    );
    let command = volume.on(Event::Disk(disk));
    (volume, command)
}

#[test]
fn creation_is_claim_then_disk_then_report() {
    let (mut volume, command) = shown(Known::Present(intent(1)), Known::Absent);
    assert_eq!(command, Some(Command::Claim(Version(1))));
    assert_eq!(volume.state(), Some(State::Creating));
    assert_eq!(volume.on(Event::Done), None, "the claim must be read back");
    let mut claimed = intent(2);
    claimed.report.phase = Phase::Claimed;
    let command = volume.on(Event::Intent(Known::Present(claimed)));
    assert_eq!(command, Some(Command::CreateLv));
    assert_eq!(volume.on(Event::Done), None);
    let Some(Command::Report(Version(2), report)) = volume.on(Event::Disk(disk(LvState::Ready)))
    else {
        panic!("no report");
    };
    assert_eq!((report.phase, report.size), (Phase::Ready, SIZE));
    assert_eq!(volume.on(Event::Done), None);
    assert_eq!(volume.on(Event::Intent(Known::Present(ready(3)))), None);
    assert_eq!(volume.state(), Some(State::Ready));
}

#[test]
fn a_claim_is_good_for_one_attempt() {
    let (mut volume, _) = shown(Known::Present(intent(1)), Known::Absent);
    volume.on(Event::Done);
    volume.on(Event::Intent(Known::Present(intent(2))));
    volume.on(Event::Failed(Failure::Transient));
    volume.on(Event::Disk(Known::Absent));
    assert_eq!(
        volume.on(Event::Retry),
        Some(Command::Claim(Version(2))),
        "the first attempt may have worked, been reported and lost"
    );
}

#[test]
fn ready_without_a_disk_is_lost_and_never_made_again() {
    let (mut volume, command) = shown(Known::Present(ready(4)), Known::Absent);
    let Some(Command::Report(_, report)) = command else {
        panic!("{command:?}");
    };
    assert_eq!(report.phase, Phase::Lost);
    assert_eq!(volume.state(), Some(State::Lost));
    volume.on(Event::Done);
    let mut lost = ready(5);
    lost.report.phase = Phase::Lost;
    assert_eq!(volume.on(Event::Intent(Known::Present(lost))), None);
    let back = volume.on(Event::Disk(disk(LvState::Ready)));
    assert!(
        matches!(back, Some(Command::Report(_, report)) if report.phase == Phase::Ready),
        "a disk that comes back is welcome"
    );
}

#[test]
fn a_disk_that_cannot_be_read_is_not_a_loss() {
    let (volume, command) = shown(Known::Present(ready(4)), Known::Unknown);
    assert_eq!((command, volume.state()), (None, None));
}

#[test]
fn what_nobody_wants_is_quarantined_and_kept() {
    let (mut volume, command) = shown(Known::Absent, disk(LvState::Ready));
    assert_eq!(command, Some(Command::Quarantine));
    volume.on(Event::Done);
    assert_eq!(volume.on(Event::Disk(disk(LvState::Quarantined))), None);
    assert_eq!(volume.state(), Some(State::Quarantined));
    let adopted = volume.on(Event::Intent(Known::Present(ready(9))));
    assert_eq!(adopted, Some(Command::MarkReady), "its object came back");
}

#[test]
fn a_removal_that_was_decided_goes_on_without_its_object() {
    let (_, command) = shown(Known::Absent, disk(LvState::Deleting));
    assert_eq!(command, Some(Command::RemoveLv));
}

#[test]
fn deletion_waits_for_the_last_user() {
    let mut volume = Volume::default();
    volume.on(Event::Use(Use::Published));
    let leaving = Intent {
        deleting: true,
        ..ready(5)
    };
    volume.on(Event::Intent(Known::Present(leaving)));
    assert!(!volume.in_use(), "nobody knows whether it is there");
    assert_eq!(volume.on(Event::Disk(disk(LvState::Ready))), None);
    assert!(volume.in_use() && !volume.parked());
    assert_eq!(
        volume.on(Event::Use(Use::Idle)),
        Some(Command::MarkDeleting)
    );
    assert!(!volume.in_use());
    volume.on(Event::Done);
    assert_eq!(
        volume.on(Event::Disk(disk(LvState::Deleting))),
        Some(Command::RemoveLv)
    );
    volume.on(Event::Done);
    assert_eq!(
        volume.on(Event::Disk(Known::Absent)),
        Some(Command::Release(Version(5)))
    );
}

#[test]
fn who_uses_a_volume_that_stays_keeps_nothing_waiting() {
    let mut volume = Volume::default();
    volume.on(Event::Use(Use::Published));
    volume.on(Event::Intent(Known::Present(ready(5))));
    volume.on(Event::Disk(disk(LvState::Ready)));
    assert!(!volume.in_use());
}

#[test]
fn a_deleting_tag_under_a_live_object_is_left_to_a_person() {
    let (volume, command) = shown(Known::Present(ready(5)), disk(LvState::Deleting));
    assert_eq!(command, None);
    assert_eq!(volume.state(), Some(State::Quarantined));
}

#[test]
fn growth_that_does_not_fit_is_reported_once() {
    let bigger = Intent {
        size: Bytes::gib(2),
        ..ready(5)
    };
    let (mut volume, command) = shown(Known::Present(bigger), disk(LvState::Ready));
    assert_eq!(command, Some(Command::Grow(Bytes::gib(2))));
    assert_eq!(volume.state(), Some(State::Expanding));
    volume.on(Event::Failed(Failure::NoSpace));
    let command = volume.on(Event::Disk(disk(LvState::Ready)));
    let Some(Command::Report(_, report)) = command else {
        panic!("{command:?}");
    };
    assert_eq!(report.refused, Some(Bytes::gib(2)));
    assert_eq!(report.size, SIZE);
    volume.on(Event::Done);
    let mut told = bigger;
    told.version = Version(6);
    told.report.refused = Some(Bytes::gib(2));
    assert_eq!(volume.on(Event::Intent(Known::Present(told))), None);
    told.version = Version(7);
    told.size = SIZE;
    let command = volume.on(Event::Intent(Known::Present(told)));
    assert!(
        matches!(command, Some(Command::Report(_, report)) if report.refused.is_none()),
        "the wish was taken back: {command:?}"
    );
}

#[test]
fn older_versions_are_echoes() {
    let (mut volume, _) = shown(Known::Present(ready(5)), disk(LvState::Ready));
    let old = Event::Intent(Known::Present(Intent {
        deleting: true,
        ..ready(4)
    }));
    assert_eq!(volume.on(old), None);
    assert_eq!(volume.state(), Some(State::Ready));
}
