use super::*;
use crate::real::folder::Folder;

const POD: &str = "0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a11";

/// A control group as files, which says that it has stopped before it was told.
fn node() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let group = folder.path().join(format!("kubepods/pod{POD}"));
    fs::create_dir_all(&group).expect("made");
    fs::write(folder.path().join("cgroup.controllers"), "io").expect("written");
    fs::write(group.join("cgroup.freeze"), "0").expect("written");
    fs::write(group.join("cgroup.events"), "populated 1\nfrozen 1\n").expect("written");
    (folder, group)
}

fn record(folder: &Path) -> Record {
    Record {
        folder: Folder::at(folder),
        name: "record".into(),
    }
}

fn hold(folder: &Path, longest: Duration) -> Result<Option<Still>, LvmError> {
    let script = r#"s=$1; shift; timeout $s cat; for g; do echo 0 >"$g/cgroup.freeze"; done"#;
    let guardian = Guardian(["sh", "-c", script, "guardian"].map(str::to_owned).to_vec());
    let pods = [POD.to_owned()];
    Still::hold_below(folder, &guardian, &record(folder), &pods, longest)
}

fn told(group: &Path) -> String {
    let text = fs::read_to_string(group.join("cgroup.freeze"));
    text.expect("read").trim().to_owned()
}

#[test]
fn pods_stand_still_until_all_is_done() {
    let (folder, group) = node();
    let still = hold(folder.path(), LONGEST).expect("held").expect("a pod");
    assert_eq!(told(&group), "1");
    still.held().expect("nobody has gone on");
    drop(still);
    assert_eq!(told(&group), "0");
    assert!(!folder.path().join("record").exists());
}

#[test]
fn the_guardian_lets_them_go_on_when_the_agent_is_gone() {
    let (folder, group) = node();
    let still = hold(folder.path(), LONGEST).expect("held").expect("a pod");
    // What becomes of the pipe of a process that is killed.
    let mut still = std::mem::ManuallyDrop::new(still);
    drop(still.guardian.stdin.take());
    still.guardian.wait().expect("ended");
    assert_eq!(told(&group), "0");
    let error = still.held().expect_err("they have gone on").to_string();
    assert!(
        error.contains("would not be of one instant; none was kept"),
        "{error}"
    );
    // The record is still there, for the next agent.
    go_on(&record(folder.path())).expect("once more");
}

#[test]
fn the_guardian_lets_them_go_on_when_the_time_is_over() {
    let (folder, group) = node();
    let still = hold(folder.path(), Duration::from_millis(1));
    let mut still = std::mem::ManuallyDrop::new(still.expect("held").expect("a pod"));
    // Its input is open all the while.
    let input = still.guardian.stdin.take();
    still.guardian.wait().expect("ended");
    assert_eq!(told(&group), "0");
    drop(input);
}

#[test]
fn the_next_agent_lets_go_on_what_a_record_names() {
    let (folder, group) = node();
    let record = record(folder.path());
    let text = format!("{}\n/nowhere", group.display());
    record.write(&text).expect("written");
    fs::write(group.join("cgroup.freeze"), "1").expect("written");
    go_on(&record).expect("done");
    assert_eq!(told(&group), "0");
    assert_eq!(record.read().expect("none"), None);
    go_on(&record).expect("there is none");
}

#[test]
fn who_cannot_be_stopped_is_not_taken_for_stopped() {
    let (folder, group) = node();
    fs::remove_file(folder.path().join("cgroup.controllers")).expect("removed");
    let error = hold(folder.path(), LONGEST)
        .expect_err("version 1")
        .to_string();
    assert!(
        error.contains("has no control groups of pods, of version 2"),
        "{error}"
    );
    fs::write(folder.path().join("cgroup.controllers"), "io").expect("written");
    // Somebody else has stopped it, and is to let it go on.
    fs::write(group.join("cgroup.freeze"), "1").expect("written");
    assert!(hold(folder.path(), LONGEST).expect("held").is_none());
    assert_eq!(told(&group), "1");
}
