//! Words for messages: the nearest right name, lists of alternatives, key paths. Decides nothing.

/// The name that somebody most likely meant, if one is near enough.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // What is so long is no slip, and comparing it with everything takes time.
    const LONGEST: usize = 64;
    if typed.len() > LONGEST {
        return None;
    }
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let typed = plain(typed);
    let distance = |name: &str| strsim::damerau_levenshtein(&typed, &plain(name));
    let close = known.into_iter().map(|name| (distance(name), name)).min_by_key(|(distance, _)| *distance);
    let limit = (typed.chars().count() / 3).clamp(1, 4);
    close.filter(|(distance, _)| *distance <= limit).map(|(_, name)| name)
}

/// `; did you mean 'x'?`, or what to say instead.
pub fn hint<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    nearest(typed, known).map_or_else(|| otherwise.to_owned(), |name| format!("; did you mean '{name}'?"))
}

/// `a, b or c`
pub fn any_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// What a person typed, short and without control characters.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let short: String = text.chars().take(LONGEST).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("'{}{dots}'", crate::base::text::escape(short.as_bytes()))
}

/// The path of a key below another, as TOML writes it.
pub fn join(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The path of the key above, if there is one.
pub fn above(path: &str) -> Option<&str> {
    let mut is_quoted = false;
    let mut end = None;
    let mut letters = path.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => drop(letters.next()),
            '.' | '[' if !is_quoted => end = Some(at),
            _ => {}
        }
    }
    end.map(|end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_through() {
        let known = ["keep-daily", "keep-weekly", "schedule", "paths"];
        for (typed, meant) in [
            ("keep_daily", Some("keep-daily")),
            ("keep-dialy", Some("keep-daily")),
            ("Schedule", Some("schedule")),
            ("path", Some("paths")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn texts_for_messages() {
        assert_eq!(any_of(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b or c");
        assert_eq!(join("policies", "my db"), "policies.\"my db\"");
        assert_eq!(join("", "run"), "run");
        assert_eq!(above("a.\"b.\\\"c\".d"), Some("a.\"b.\\\"c\""));
        assert_eq!(above("a.\"b.c\""), Some("a"));
        assert_eq!(above("a.b[3]"), Some("a.b"));
        assert_eq!(above("a"), None);
        assert_eq!(shown("a\nb"), "'a\\x0ab'");
        assert!(shown(&"ü".repeat(100)).ends_with("...'"));
    }
}
