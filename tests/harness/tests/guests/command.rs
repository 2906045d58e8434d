//! The program `guest`, as a person at a terminal uses it.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::guest::{asked_for, timed};
use crate::remains::nothing_remains;

#[test]
fn a_shell_at_a_terminal_ends_with_its_status_and_takes_the_guest_along() {
    if !asked_for() {
        return;
    }
    // script(1) gives it a terminal.
    let line = format!("{} shell --disks 1x1G", env!("CARGO_BIN_EXE_guest"));
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut text = String::new();
    let prompt = timed("a shell", || {
        // Before the prompt, whatever is typed is lost to whoever reads the terminal first.
        while !text
            .split("root@")
            .nth(1)
            .is_some_and(|rest| rest.contains(':'))
        {
            let mut some = [0; 1024];
            let read = shown.read(&mut some).unwrap();
            assert!(read > 0, "no prompt: {text}");
            text += &String::from_utf8_lossy(&some[..read]);
        }
        text.split("root@").nth(1).unwrap().to_owned()
    });
    typed
        .write_all(b"lsblk -dno SERIAL | tr a-z A-Z\nexit 5\n")
        .unwrap();
    let mut rest = Vec::new();
    shown.read_to_end(&mut rest).unwrap();
    let rest = String::from_utf8_lossy(&rest);
    assert!(rest.contains("DISK-1"), "{text}{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(5), "{text}{rest}");
    let name = prompt.split(':').next().unwrap();
    assert!(name.starts_with("guest-"), "{prompt}");
    nothing_remains(name);
}
