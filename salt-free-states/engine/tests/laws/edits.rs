//! What the site changed after us stays, and an undo that failed can be run again.

use crate::bench::Bench;
use ingot_engine::undo::undo;
use std::fs;
use std::sync::atomic::Ordering;

const SWAP: &str = "  - id: swap\n    swap: {enabled: false}\n";

fn kept(bench: &Bench) -> Vec<String> {
    let undone = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
    assert!(undone.failures.is_empty(), "{:?}", undone.failures);
    undone.kept.iter().map(ToString::to_string).collect()
}

#[test]
fn lines_that_the_site_added_to_fstab_stay_and_ours_are_taken_back() {
    let bench = Bench::new();
    bench.apply(&bench.graph(SWAP));
    let path = bench.at("etc/fstab");
    let mut text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# turned off by ingot: /dev/a none swap"));
    text.push_str("nas:/export /srv/data nfs defaults 0 0\n");
    fs::write(&path, text).unwrap();
    assert_eq!(
        kept(&bench),
        [
            "/etc/fstab was changed after this program had changed it: only the lines of this program were taken back"
        ]
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "/dev/a none swap sw 0 0\n/dev/b / ext4 defaults 0 1\nnas:/export /srv/data nfs defaults 0 0\n"
    );
}

#[test]
fn two_changes_of_one_file_with_an_edit_in_between_are_both_taken_back() {
    let bench = Bench::new();
    bench.apply(&bench.graph(SWAP));
    let path = bench.at("etc/fstab");
    let edited = fs::read_to_string(&path).unwrap() + "nas:/export /srv/data nfs defaults 0 0\n";
    fs::write(&path, edited).unwrap();
    let mount = "  - id: disk\n    mount: {path: /srv/disk, device: tmpfs, type: tmpfs}\n";
    bench.apply(&bench.graph(&format!("{SWAP}{mount}")));
    assert_eq!(kept(&bench).len(), 1);
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "/dev/a none swap sw 0 0\n/dev/b / ext4 defaults 0 1\nnas:/export /srv/data nfs defaults 0 0\n"
    );
}

#[test]
fn a_file_that_cannot_be_merged_is_left_and_its_former_content_is_beside_it() {
    let bench = Bench::new();
    fs::write(bench.at("etc/motd"), "welcome\n").unwrap();
    let motd = "  - id: motd\n    file: {path: /etc/motd, content: ours}\n";
    bench.apply(&bench.graph(motd));
    fs::write(bench.at("etc/motd"), "written by the site\n").unwrap();
    assert_eq!(
        kept(&bench),
        [
            "/etc/motd was changed after this program had changed it: it was left as it is; its former content is in /etc/motd.before-ingot"
        ]
    );
    assert_eq!(
        fs::read_to_string(bench.at("etc/motd")).unwrap(),
        "written by the site\n"
    );
    assert_eq!(
        fs::read_to_string(bench.at("etc/motd.before-ingot")).unwrap(),
        "welcome\n"
    );
}

#[test]
fn an_edited_file_of_ours_goes_and_its_content_stays_beside() {
    let bench = Bench::new();
    let conf = "  - id: conf\n    file: {path: /etc/ours.conf, content: a}\n";
    bench.apply(&bench.graph(conf));
    fs::write(bench.at("etc/ours.conf"), "b\n").unwrap();
    assert_eq!(
        kept(&bench),
        [
            "/etc/ours.conf was changed after this program had changed it: its last content is in /etc/ours.conf.kept"
        ]
    );
    assert!(!bench.at("etc/ours.conf").exists());
    assert_eq!(
        fs::read_to_string(bench.at("etc/ours.conf.kept")).unwrap(),
        "b\n"
    );
}

#[test]
fn an_undo_that_fails_at_any_command_ends_right_when_it_is_run_again() {
    let resources = "  - id: user
    user: {name: svc, group: nogroup, shell: /bin/true}
  - id: conf
    file: {path: /etc/conf, content: one}
    require: [user]
  - id: unit
    unit: {name: a.service, content: '[Service]'}
  - id: service
    service: {unit: a.service}
    require: [unit]
    watch: [conf]
  - id: swap
    swap: {enabled: false}
";
    let mut failed = 0;
    for fail_at in 1.. {
        let bench = Bench::new();
        let before = bench.snapshot();
        bench.apply(&bench.graph(resources));
        // A second change of the same account and files, with commands that can fail on the way back from it: the
        // older state must not be put back before the newer, which would win when it is tried again.
        let second = resources
            .replace("content: one", "content: two")
            .replace("[Service]", "[Unit]")
            .replace("/bin/true", "/bin/false");
        bench.apply(&bench.graph(&second));
        bench.host.fail_after.store(fail_at, Ordering::Relaxed);
        let first = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
        let reached = bench.host.fail_after.swap(0, Ordering::Relaxed) == 0;
        // A unit that does not start is tried once more, so not every refusal is a failure.
        failed += usize::from(!first.failures.is_empty());
        assert!(
            reached || first.failures.is_empty(),
            "{fail_at}: {:?}",
            first.failures
        );
        let again = undo(&bench.system, &bench.journal, &|_| {}).unwrap();
        assert!(again.failures.is_empty(), "{fail_at}: {:?}", again.failures);
        let kept = [first.kept, again.kept].concat();
        assert_eq!(kept, [], "nobody else changed anything: {fail_at}");
        assert_eq!(bench.snapshot(), before, "a failure at command {fail_at}");
        if !reached {
            assert!(failed > 3, "only {failed} of {fail_at} commands failed");
            return;
        }
    }
}
