//! docs/reference/cli.md is made from the program's own help. `UPDATE_GOLDEN=1` rewrites it.

use std::path::Path;
use std::process::Command;

fn help(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .args(words)
        .arg("--help")
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands a help text lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(Into::into)
        .collect()
}

fn describe(words: &[&str], text: &mut String) {
    let help = help(words);
    let title = ["ingot"]
        .iter()
        .chain(words)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    text.push_str(&format!("\n## {title}\n\n```\n{}\n```\n", help.trim_end()));
    for command in commands(&help) {
        let mut words = words.to_vec();
        words.push(&command);
        describe(&words, text);
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let mut text = String::from(
        "# Command line\n\nMade from the program's own help. Exit codes: 0 done, 2 your input, 3 a server or the network,\n1 a mistake of ours, 130 interrupted.\n",
    );
    describe(&[], &mut text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/cli.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    let different = wanted
        .lines()
        .zip(text.lines())
        .find(|(old, new)| old != new);
    assert!(
        wanted == text,
        "docs/reference/cli.md is out of date; run make golden; first difference: {different:?}"
    );
}

#[test]
fn help_fits_a_terminal() {
    let mut text = String::new();
    describe(&[], &mut text);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line}");
    }
}
