//! One line of ssh_config: a keyword and its words, with quotes and comments.

/// The keyword in lower case, and its words; `None` for a line that says nothing.
pub(super) fn words(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    // `Keyword value`, `Keyword=value` and `Keyword = value` are the same.
    let end = line.find(|sign: char| sign.is_whitespace() || sign == '=');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    (!keyword.is_empty()).then(|| (keyword.to_ascii_lowercase(), split(rest)))
}

fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match (quote, sign) {
            (_, '\\')
                if signs
                    .peek()
                    .is_some_and(|next| matches!(next, '"' | '\'' | '\\')) =>
            {
                word.get_or_insert_default().extend(signs.next());
            }
            (None, '"' | '\'') => {
                quote = Some(sign);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == sign => quote = None,
            (None, '#') if word.is_none() => break,
            (None, sign) if sign.is_whitespace() => words.extend(word.take()),
            (_, sign) => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_keyword_and_words() {
        let of = |line: &str| {
            words(line).map(|(keyword, words)| format!("{keyword}: {}", words.join("|")))
        };
        for (line, said) in [
            ("Host cp1 cp2", "host: cp1|cp2"),
            ("\tIdentityFile=~/.ssh/a", "identityfile: ~/.ssh/a"),
            ("PORT = 2222", "port: 2222"),
            (
                "IdentityFile \"/a key/with blanks\" # mine",
                "identityfile: /a key/with blanks",
            ),
            ("IdentityFile 'it''s'", "identityfile: its"),
            (r#"User "a\"b""#, "user: a\"b"),
            ("Host a#b", "host: a#b"),
            ("Compression", "compression: "),
        ] {
            assert_eq!(of(line).unwrap(), said, "{line}");
        }
        assert_eq!(of("  # Host x"), None);
        assert_eq!(of("   "), None);
    }
}
