use super::*;
use std::io::Write;
use std::process::{Command, Stdio};

fn way(sudo: Sudo) -> Way {
    Way {
        sudo,
        terminal: false,
    }
}

fn password() -> Sudo {
    Sudo::WithPassword(Secret::new("hunter2"))
}

/// The shells that are on this machine, each with the arguments it needs.
fn shells() -> Vec<Vec<&'static str>> {
    let all = [
        vec!["sh"],
        vec!["bash"],
        vec!["dash"],
        vec!["zsh"],
        vec!["fish"],
        vec!["ksh"],
        vec!["tcsh"],
        vec!["csh"],
        vec!["busybox", "ash"],
    ];
    let there = |shell: &Vec<&str>| {
        let path = std::env::var("PATH").unwrap_or_default();
        path.split(':')
            .any(|directory| std::path::Path::new(directory).join(shell[0]).exists())
    };
    all.into_iter().filter(there).collect()
}

/// What a command that is begun in a shell prints, all of it, when this follows on its input.
fn printed(shell: &[&str], opening: Opening, input: &[u8]) -> (Vec<u8>, Vec<u8>, Beginning) {
    let (lines, beginning) = Beginning::new(opening);
    let mut process = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", LOGIN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(lines.expose().as_bytes()).unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    (output.stdout, output.stderr, beginning)
}

#[test]
fn every_shell_begins_a_command_with_all_signs_that_shells_know() {
    let shells = shells();
    assert!(shells.len() >= 2, "{shells:?}");
    // Quotes of both kinds, history, variables, backslashes, patterns, comments, line breaks, UTF-8.
    let command = "printf '%s\\n' \"it's\" '!x $HOME `id` \\\\ * # ~ ; & | < > ( ) { } [ ] ? % ä'\ncat; echo gone >&2";
    let input = b"first\0line\n! second \\ $line\n";
    for shell in shells {
        let opening = way(Sudo::No).open(command);
        let (stdout, stderr, mut beginning) = printed(&shell, opening, input);
        let Step::Runs(output) = beginning.output(&stdout) else {
            panic!("{shell:?}: {}", String::from_utf8_lossy(&stderr));
        };
        let mut wanted = "it's\n!x $HOME `id` \\\\ * # ~ ; & | < > ( ) { } [ ] ? % ä\n"
            .as_bytes()
            .to_vec();
        wanted.extend_from_slice(input);
        assert_eq!(output, wanted, "{shell:?}");
        let mut errors = beginning.errors();
        errors.add(&stderr);
        assert_eq!(errors.text(), "gone\n", "{shell:?}");
    }
}

#[test]
fn what_is_printed_before_the_command_is_no_part_of_its_output() {
    let opening = way(Sudo::No).open("echo x");
    let nonce = opening.nonce.clone();
    let (_, mut beginning) = Beginning::new(opening);
    assert!(matches!(
        beginning.output(b"welcome without an end"),
        Step::Wait
    ));
    assert!(matches!(
        beginning.error(b"bash: warning\ningot-"),
        Step::Wait
    ));
    let (mark, rest) = (format!("ingot-{nonce}\n"), b"0\n");
    let (one, two) = mark.split_at(9);
    assert!(matches!(beginning.output(one.as_bytes()), Step::Wait));
    let Step::Runs(output) = beginning.output(&[two.as_bytes(), rest].concat()) else {
        panic!("it runs");
    };
    assert_eq!(output, rest);
    // The mark on standard error may come later, and in pieces.
    let mut errors = beginning.errors();
    errors.add(format!("{nonce}\nof the command").as_bytes());
    assert_eq!(errors.text(), "of the command");
}

#[test]
fn the_lines_that_are_sent_hold_no_mark_that_an_echo_could_send_back() {
    for sudo in [Sudo::No, Sudo::WithoutPassword] {
        let opening = way(sudo).open("id -u");
        let (lines, mut beginning) = Beginning::new(opening);
        assert!(matches!(
            beginning.output(lines.expose().as_bytes()),
            Step::Wait
        ));
        assert!(matches!(beginning.output(LOGIN.as_bytes()), Step::Wait));
    }
}

#[test]
fn a_password_is_sent_when_sudo_asks_and_only_once() {
    let opening = way(password()).open("cat");
    let nonce = opening.nonce.clone();
    let (lines, mut beginning) = Beginning::new(opening);
    assert!(!lines.expose().contains("hunter2"));
    assert!(!lines.expose().contains("cat"), "{}", lines.expose());
    assert!(matches!(beginning.error(b"[sudo] password: "), Step::Wait));
    assert!(matches!(beginning.error(b"ingot-asks-"), Step::Wait));
    let Step::Send(sent) = beginning.error(format!("{nonce}: ").as_bytes()) else {
        panic!("it is asked for");
    };
    assert_eq!(sent.expose(), "hunter2\n");
    let again = format!("Sorry, try again.\ningot-asks-{nonce}: ");
    assert!(matches!(beginning.error(again.as_bytes()), Step::Refused));
    let last = b"\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n";
    assert!(matches!(beginning.error(last), Step::Wait));
    let failed = beginning.failed(Some(1));
    assert!(failed.refused);
    assert_eq!(failed.last, "1 incorrect password attempt");
    assert!(!failed.said.unwrap().contains("hunter2"));
}

#[test]
fn a_password_that_is_not_asked_for_is_not_sent() {
    let opening = way(password()).open("cat");
    let nonce = opening.nonce.clone();
    let (_, mut beginning) = Beginning::new(opening);
    assert!(matches!(
        beginning.output(format!("ingot-{nonce}\n").as_bytes()),
        Step::Runs(rest) if rest.is_empty()
    ));
    assert_eq!(beginning.command().unwrap().expose(), "cat\n");
    assert!(beginning.command().is_none());
}

#[test]
fn the_party_that_refused_is_known_by_how_far_the_command_came() {
    // A forced command.
    let (_, mut beginning) = Beginning::new(way(Sudo::No).open("id -u"));
    beginning.output(b"Please login as the user debian rather than the user root.\n");
    let failed = beginning.failed(Some(142));
    assert!(!failed.sudo);
    assert_eq!(
        failed.said.unwrap(),
        "Please login as the user debian rather than the user root."
    );
    // sudo, after a start-up file.
    let opening = way(Sudo::WithoutPassword).open("id -u");
    let nonce = opening.nonce.clone();
    let (_, mut beginning) = Beginning::new(opening);
    beginning.output(b"welcome\n");
    beginning.error(format!("noise\nshell-{nonce}\nsudo: sorry\n").as_bytes());
    let failed = beginning.failed(Some(1));
    assert!(failed.sudo);
    assert_eq!(failed.last, "sorry");
    assert_eq!(failed.said.unwrap(), "sudo: sorry");
}

#[test]
fn endless_noise_fills_no_memory() {
    let (_, mut beginning) = Beginning::new(way(Sudo::No).open("id -u"));
    for _ in 0..40 {
        beginning.output(&[b'x'; 100_000]);
        beginning.error(&[b'x'; 100_000]);
    }
    assert!(beginning.stdout.len() <= NOISE && beginning.stderr.len() <= NOISE);
    let mut errors = Errors {
        mark: None,
        kept: Vec::new(),
    };
    for _ in 0..10 {
        errors.add(&[b'y'; 10_000]);
    }
    assert_eq!(errors.text().len(), KEPT);
}
