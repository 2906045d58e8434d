//! The commands that every disc tells its reader to type are those of this program.

use super::site::Site;
use std::os::unix::fs::symlink;
use std::process::Output;

const README: &str = include_str!("../../../../iso-builder/builder/src/build/README.txt");

/// Types a line of the README where the disc is mounted. What it calls `~` is the site's directory.
fn types(site: &Site, line: &str) -> Output {
    let home = site.dir.path().display().to_string();
    let line = line.replace('~', &home);
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let mut command = site.ingot(&words);
    command.current_dir(site.at("bundle")).output().unwrap()
}

#[test]
fn the_commands_on_the_disc_are_ours() {
    let site = Site::new();
    symlink(site.at("vendor.pub"), site.at("ingot.pub")).unwrap();
    let lines: Vec<&str> = README
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with("./ingot "))
        .collect();
    assert_eq!(lines.len(), 3, "{README}");
    for line in lines {
        let output = types(&site, line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if line.contains(" bundle verify ") {
            assert!(output.status.success(), "{line}: {said}");
        } else {
            // They were understood and the bundle held: what is in the way is that no server answers.
            assert!(
                said.contains("cannot connect to 127.0.0.1:1"),
                "{line}: {said}"
            );
            assert_eq!(output.status.code(), Some(3), "{line}: {said}");
        }
    }
}
