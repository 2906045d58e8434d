//! What the other party said, made fit for a message: on one line, without control characters, no longer
//! than somebody reads. It never explains and never translates.

/// More than this of a banner or of standard error helps nobody.
const LONGEST: usize = 600;

/// The words in `bytes`; `None` when there are none.
pub(crate) fn said(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = plain(line);
        // A warning that comes once for each try is read once.
        if !line.is_empty() && lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    let all = lines.join("; ");
    let cut = all.char_indices().nth(LONGEST).map(|(at, _)| at);
    match (all.is_empty(), cut) {
        (true, _) => None,
        (_, None) => Some(all),
        (_, Some(at)) => Some(format!("{}...", &all[..at])),
    }
}

/// A line without what moves a terminal's cursor or changes its colours.
fn plain(line: &str) -> String {
    let mut out = String::new();
    let mut signs = line.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\u{1b}' => {
                // ESC [ ... letter, the form that colours have.
                if signs.clone().next() == Some('[') {
                    let _ = signs.find(char::is_ascii_alphabetic);
                }
            }
            '\t' => out.push(' '),
            sign if sign.is_control() => {}
            sign => out.push(sign),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_one_without_what_a_terminal_would_obey() {
        assert_eq!(said(b""), None);
        assert_eq!(said(b" \r\n\n\t"), None);
        assert_eq!(
            said(b"Your account has expired.\r\n\r\nCall 123.\nCall 123.\n").unwrap(),
            "Your account has expired.; Call 123."
        );
        assert_eq!(
            said(b"\x1b[1;31mno\x1b[0m entry\x07\xff").unwrap(),
            "no entry\u{fffd}"
        );
    }

    #[test]
    fn a_long_banner_is_cut_between_signs() {
        let long = said("ä".repeat(2000).as_bytes()).unwrap();
        assert_eq!(long.chars().count(), LONGEST + 3);
    }
}
