//! Lines for /bin/sh, looked at for a trap. Runs nothing, and is no parser of shells.

/// Whether a part of the line may fail without the line's failing: an unquoted pipe.
pub fn hides_failures(line: &str) -> bool {
    // Whoever knows of it has thought of it.
    if line.contains("pipefail") {
        return false;
    }
    let mut letters = line.chars().peekable();
    let mut quote = None;
    let mut before = ' ';
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None | Some('"'), '\\') => drop(letters.next()),
            (Some(open), _) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '#') if before.is_whitespace() => drop(letters.find(|letter| *letter == '\n')),
            (None, '|') if letters.next_if_eq(&'|').is_some() => {}
            // `>|` writes to a file that is there.
            (None, '|') if before != '>' => return true,
            (None, _) => {}
        }
        before = letter;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::hides_failures;

    #[test]
    fn only_pipes_count() {
        for line in ["a | b", "a|b", "a |& b", "a || b | c", "echo 'x' | b", "echo $(a | b)", "# x\na | b", "a \\\\| b"]
        {
            assert!(hides_failures(line), "{line}");
        }
        for line in [
            "a || b",
            "grep 'a|b' file",
            "grep \"a|b\" file",
            "a \\| b",
            "a >| b",
            "a # | b",
            "set -o pipefail; a | b",
            "grep \"a\\\"|\" x",
            "",
        ] {
            assert!(!hides_failures(line), "{line}");
        }
    }
}
