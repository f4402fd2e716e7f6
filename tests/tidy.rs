//! The house rules, held by reading the source: layers, module headers, sizes, what may panic or print, where time and
//! chance come in. Style that a machine holds leaves reviews to talk about design.

#[path = "tidy/lex.rs"]
mod lex;
#[path = "tidy/paths.rs"]
mod paths;

use lex::Token;
use paths::Named;
use std::path::Path;

/// The modules of `src/lib.rs`, bottom-up; those of one line are peers.
const LAYERS: [&[&str]; 8] = [
    &["base"],
    &["chunker", "crypto", "store", "index", "source"],
    &["repo"],
    &["ops"],
    &["config"],
    &["report"],
    &["jobs"],
    &["cli"],
];

/// Lines that a source file may have apart from its tests.
const MAX_LINES: usize = 400;

/// What may be called although it panics: file, word, reason.
const MAY_PANIC: [(&str, &str, &str); 1] =
    [("src/base/edge.rs", "expect", "without randomness from the system no key may be made and nothing can go on")];

/// Where the clock, chance and the environment may be read; a folder ends with `/`.
const EDGES: [&str; 3] = ["src/base/edge.rs", "src/cli/", "src/main.rs"];

/// A source file with all that the rules look at.
struct File {
    /// From the top of the project, with `/`.
    path: String,
    text: String,
    tokens: Vec<Token>,
    named: Vec<Named>,
    /// All of it is test code.
    is_test: bool,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let tokens = lex::tokens(text);
        let named = paths::paths(&tokens);
        let is_test = !path.starts_with("src/") || tokens.iter().all(|token| token.in_test);
        Self { path: path.to_owned(), text: text.to_owned(), tokens, named, is_test }
    }

    /// The names of the modules from the crate's root to this file; empty for `lib.rs` and `main.rs`.
    fn module(&self) -> Vec<&str> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        if inner == "lib" || inner == "main" { vec![] } else { inner.split('/').collect() }
    }

    fn is_under(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn finding(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Paths outside tests.
    fn named_by_code(&self) -> impl Iterator<Item = &Named> {
        self.named.iter().filter(|named| !self.is_test && !named.in_test)
    }
}

/// Marks the files that only tests declare (`#[cfg(test)] mod name;`), and those below them.
fn mark_test_files(files: &mut [File]) {
    let mut test_modules: Vec<Vec<String>> = Vec::new();
    for file in files.iter() {
        let declared = file.tokens.windows(3).filter(|w| w[0].in_test && w[0].text == "mod" && w[2].text == ";");
        let module = |name: &str| file.module().into_iter().chain([name]).map(str::to_owned).collect();
        test_modules.extend(declared.map(|w| module(&w[1].text)));
    }
    for file in files {
        let module = file.module();
        file.is_test |= test_modules.iter().any(|test| module.len() >= test.len() && module[..test.len()] == test[..]);
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|peers| peers.contains(&module))
}

/// Modules use only what stands below them, so that each can be read, tested and replaced without those above.
fn layers(file: &File) -> Vec<String> {
    let mut found = declared_modules(file);
    for named in file.named.iter().filter(|_| file.path.starts_with("src/")) {
        if let Some(what) = breaks_layers(file, named) {
            found.push(file.finding(named.line, what));
        }
    }
    found.dedup();
    found
}

/// The table of contents is the architecture: `lib.rs` declares its modules bottom-up.
fn declared_modules(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let mut highest = 0;
    for window in file.tokens.windows(3).filter(|w| file.path == "src/lib.rs" && w[0].text == "mod" && w[2].text == ";")
    {
        let (name, line) = (&window[1].text, window[1].line);
        match layer(name) {
            None => found.push(file.finding(line, format!("{name} has no layer: give it one in tests/tidy.rs"))),
            Some(layer) if layer < highest => {
                found.push(file.finding(line, format!("{name} is declared above a module that it stands below")));
            }
            Some(layer) => highest = layer,
        }
    }
    found
}

fn breaks_layers(file: &File, named: &Named) -> Option<String> {
    let module = file.module();
    let segments: Vec<&str> = named.segments.iter().map(String::as_str).skip_while(|word| *word == "self").collect();
    let climbs = segments.iter().take_while(|word| **word == "super").count();
    if climbs > 0 && climbs >= module.len() + named.inline_modules {
        return Some(format!("{} climbs to the crate's root: write crate::", named.text()));
    }
    match (segments.as_slice(), module.first()) {
        (["ssb", ..], _) if named.segments.len() > 1 && file.path != "src/main.rs" => {
            Some(format!("{} names the crate from outside, which only main.rs does: write crate::", named.text()))
        }
        (["crate"] | ["crate", "self" | "*", ..], _) if named.is_import => {
            Some("takes the whole crate under another name, which would hide what is used".to_owned())
        }
        (["crate", other, ..], Some(own)) if other != own => {
            let (Some(mine), Some(theirs)) = (layer(own), layer(other)) else {
                return Some(format!("crate::{other} is used by {own}, but only modules with a layer may be"));
            };
            let why = match mine.cmp(&theirs) {
                std::cmp::Ordering::Greater => return None,
                std::cmp::Ordering::Equal => "they are peers, which never use each other",
                std::cmp::Ordering::Less => "it stands above, and a module uses only what stands below it",
            };
            Some(format!("{own} uses crate::{other}: {why}"))
        }
        _ => None,
    }
}

/// A module header says the module's duty and what it deliberately does not do.
fn headers(file: &File) -> Vec<String> {
    let is_missing = file.path.starts_with("src/") && !file.text.starts_with("//! ");
    let what = "does not start with a //! header that says the module's duty";
    is_missing.then(|| file.finding(1, what)).into_iter().collect()
}

/// A file that cannot be read in one sitting holds more than one thing.
fn sizes(file: &File) -> Vec<String> {
    let mut test_lines = std::collections::BTreeSet::new();
    for pair in file.tokens.windows(2).filter(|pair| pair[0].in_test && pair[1].in_test) {
        test_lines.extend(pair[0].line..=pair[1].line);
    }
    let lines = file.text.lines().count() - test_lines.len().min(file.text.lines().count());
    let is_long = file.path.starts_with("src/") && !file.is_test && lines > MAX_LINES;
    let what = format!("has {lines} lines apart from its tests; beyond {MAX_LINES} it is more than one module");
    is_long.then(|| file.finding(1, what)).into_iter().collect()
}

/// A backup tool that panics leaves a person without a sentence, and one that prints from below spoils somebody's JSON.
fn panics_and_prints(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for window in file.tokens.windows(3).filter(|window| !file.is_test && !window[0].in_test) {
        let [before, word, after] = [&window[0], &window[1], &window[2]].map(|token| token.text.as_str());
        let what = match (before, word, after) {
            ("." | "::", "unwrap" | "unwrap_err" | "expect" | "expect_err", _) => "panics: return an error instead",
            (_, "panic" | "todo" | "unimplemented", "!") => "panics: return an error instead",
            (_, "dbg", "!") => "is for a debugging session only",
            (_, "println" | "eprintln" | "print" | "eprint", "!") if !file.is_under(&["src/cli/", "src/main.rs"]) => {
                "prints: report an event or return an outcome, only the command line prints"
            }
            _ => continue,
        };
        if !MAY_PANIC.iter().any(|(path, allowed, _)| *path == file.path && *allowed == word) {
            found.push(file.finding(window[1].line, format!("{word} {what}")));
        }
    }
    found
}

/// A test that does not run and a warning that nobody sees are promises nobody keeps.
fn silencers(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for index in 0..file.tokens.len() {
        let Some((words, ..)) = lex::attribute(&file.tokens, index) else { continue };
        let within: &[&str] = if words.first() == Some(&"cfg_attr") { &words } else { &words[..1] };
        let line = file.tokens[index].line;
        if within.contains(&"ignore") {
            found.push(file.finding(line, "ignores a test: mend it or remove it"));
        }
        // Every integration test is a crate of its own and uses a part of what they share.
        if within.contains(&"allow") && file.path != "tests/support/mod.rs" {
            found.push(file.finding(line, "silences a warning: heed it"));
        }
    }
    found
}

/// White space that nobody sees makes diffs that nobody understands.
fn white_space(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.contains('\t') {
            found.push(format!("{path}:{}: has a tab: use spaces", index + 1));
        }
        if line.ends_with(char::is_whitespace) || line.ends_with('\r') {
            found.push(format!("{path}:{}: has white space at its end", index + 1));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        found.push(format!("{path}: does not end with exactly one newline"));
    }
    found
}

/// Whoever reads a file must see where its names come from. The variants of a type (`use Kind::*`) say it themselves.
fn globs(file: &File) -> Vec<String> {
    let is_glob = |named: &&Named| named.is_import && named.segments.last().is_some_and(|last| last == "*");
    let mut found = Vec::new();
    for named in file.named.iter().filter(is_glob) {
        let is_own = (file.is_test || named.in_test) && named.segments == ["super", "*"];
        let is_type = named.segments.iter().rev().nth(1).is_some_and(|parent| parent.starts_with(char::is_uppercase));
        if !is_own && !is_type {
            let what = format!("use {}: name what you use (only tests may use super::*)", named.text());
            found.push(file.finding(named.line, what));
        }
    }
    found
}

/// Decisions take time and chance as arguments, so that every run can be repeated in a test.
fn edges(file: &File) -> Vec<String> {
    const READS: [(&[&str], &str); 10] = [
        (&["Timestamp", "now"], "reads the clock"),
        (&["Zoned", "now"], "reads the clock"),
        (&["SystemTime", "now"], "reads the clock"),
        (&["Instant", "now"], "reads the clock"),
        (&["TimeZone", "system"], "reads the environment"),
        (&["getrandom"], "draws chance"),
        (&["env", "var"], "reads the environment"),
        (&["env", "var_os"], "reads the environment"),
        (&["env", "vars"], "reads the environment"),
        (&["env", "vars_os"], "reads the environment"),
    ];
    let mut found = Vec::new();
    for named in file.named_by_code().filter(|_| !file.is_under(&EDGES)) {
        for (path, what) in READS.iter().filter(|(path, _)| named.contains(path)) {
            // The age of a forgotten file is a matter between a directory and its file system's clock.
            let is_file_age = path.contains(&"SystemTime") && file.path == "src/store/directory/walk.rs";
            if !is_file_age {
                let what = format!("{} {what}: take it as an argument, only the edges may", named.text());
                found.push(file.finding(named.line, what));
            }
        }
    }
    found
}

/// Every file below `folder` that `wanted` takes, as path from the top and text.
fn read(folder: &str, wanted: &dyn Fn(&Path) -> bool) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![top.join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().into_string().unwrap();
            let is_ours = name != "target" && (!name.starts_with('.') || name == ".ci" || name == ".cargo");
            if kind.is_dir() && is_ours {
                folders.push(path);
            } else if kind.is_file() && wanted(&path) {
                let relative = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.push((relative, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<File> {
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let folders = ["src", "tests", "benches", "fuzz"];
    let texts = folders.into_iter().flat_map(|folder| read(folder, &is_rust));
    let mut files: Vec<File> = texts.map(|(path, text)| File::new(&path, &text)).collect();
    mark_test_files(&mut files);
    files
}

fn hold(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn hold_everywhere(rule: fn(&File) -> Vec<String>) {
    hold(sources().iter().flat_map(rule).collect());
}

#[test]
fn modules_use_only_what_stands_below() {
    hold_everywhere(layers);
}

#[test]
fn every_module_has_a_header() {
    hold_everywhere(headers);
}

#[test]
fn no_file_is_too_long() {
    hold_everywhere(sizes);
}

#[test]
fn nothing_panics_or_prints() {
    hold_everywhere(panics_and_prints);
}

#[test]
fn nothing_is_ignored_or_silenced() {
    hold_everywhere(silencers);
}

#[test]
fn white_space_is_plain() {
    let is_text = |path: &Path| {
        let is_script = path.components().any(|part| part.as_os_str() == "scripts" || part.as_os_str() == ".ci");
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) => ["rs", "toml", "md", "sh"].contains(&extension),
            None => is_script,
        }
    };
    hold(read("", &is_text).iter().flat_map(|(path, text)| white_space(path, text)).collect());
}

#[test]
fn names_are_imported_one_by_one() {
    hold_everywhere(globs);
}

#[test]
fn time_and_chance_come_in_at_the_edges() {
    hold_everywhere(edges);
}

/// The rules themselves, on planted sources.
mod rules {
    use super::{
        File, edges, globs, headers, layers, mark_test_files, panics_and_prints, silencers, sizes, white_space,
    };

    fn check(rule: fn(&File) -> Vec<String>, path: &str, text: &str) -> Vec<String> {
        rule(&File::new(path, text))
    }

    fn catches(rule: fn(&File) -> Vec<String>, path: &str, text: &str, what: &str) {
        let found = check(rule, path, text);
        assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        assert!(found[0].contains(what), "{found:?}");
    }

    fn passes(rule: fn(&File) -> Vec<String>, path: &str, text: &str) {
        assert_eq!(check(rule, path, text), [""; 0], "{path}: {text}");
    }

    #[test]
    fn layers_are_found_in_imports() {
        passes(layers, "src/store/mod.rs", "use crate::base::Clock; use crate::store::x; use crate::{base, store::y};");
        catches(layers, "src/store/mod.rs", "use crate::repo::Repo;", "store uses crate::repo: it stands above");
        catches(layers, "src/store/a/b.rs", "use crate::index;", "peers");
        catches(layers, "src/store.rs", "use crate::{\n    base::Clock,\n    crypto::{Key, Seal},\n};", "store.rs:3");
        catches(layers, "src/base/ids.rs", "use crate\n::\n{base::x, ops as o};", "crate::ops");
        catches(layers, "src/base/ids.rs", "pub use crate::ops::*;", "crate::ops");
        catches(layers, "src/cli/mod.rs", "use crate::Thing;", "only modules with a layer");
        catches(layers, "src/base/ids.rs", "use crate as top;", "whole crate");
        catches(layers, "src/base/ids.rs", "use crate::{self as top, base::x};", "whole crate");
        catches(layers, "src/base/ids.rs", "use crate::*;", "whole crate");
    }

    #[test]
    fn layers_are_found_in_code() {
        passes(layers, "src/repo/mod.rs", "pub(crate) fn a() { crate::store::b(); } pub(in crate::repo) struct C;");
        passes(layers, "src/repo/mod.rs", "// crate::ops\n/* crate::cli */ const A: &str = \"crate::ops\";");
        catches(layers, "src/repo/mod.rs", "fn a() -> Vec<crate::ops::Plan> {}", "crate::ops");
        catches(layers, "src/repo/mod.rs", "macro_rules! m { () => { $crate::cli::x() } }", "crate::cli");
        catches(layers, "src/repo/mod.rs", "#[cfg(test)] mod tests { use crate::ops; }", "crate::ops");
        catches(layers, "src/repo/mod.rs", "fn a() { ssb::base::b(); }", "only main.rs");
        catches(
            layers,
            "src/repo/mod.rs",
            "fn a<'a>(x: &'a str) { let _ = '\"'; crate::ops::b('\\''); }",
            "crate::ops",
        );
        passes(layers, "src/main.rs", "fn main() { ssb::cli::main() }");
        passes(layers, "tests/a.rs", "use ssb::cli; use super::super::x;");
    }

    #[test]
    fn layers_are_not_climbed_around() {
        passes(layers, "src/repo/a/b.rs", "use super::super::x; mod tests { use super::super::super::y; }");
        catches(layers, "src/repo/mod.rs", "use super::ops;", "climbs");
        catches(layers, "src/repo/a/b.rs", "use super::super::super::ops;", "climbs");
        catches(layers, "src/repo/a/b.rs", "use self::super::{x, super::{y, super::ops}};", "climbs");
        catches(layers, "src/repo/mod.rs", "mod tests { use super::*; fn a() { super::super::ops::b() } }", "climbs");
    }

    #[test]
    fn layers_are_declared_bottom_up() {
        passes(layers, "src/lib.rs", "pub mod base; pub mod index; pub mod store; mod repo; pub mod cli;");
        catches(layers, "src/lib.rs", "pub mod base; pub mod repo; pub mod store;", "store is declared above");
        catches(layers, "src/lib.rs", "pub mod misc;", "has no layer");
    }

    #[test]
    fn headers_are_wanted() {
        passes(headers, "src/a.rs", "//! Does a.\n");
        passes(headers, "tests/a.rs", "use x;");
        catches(headers, "src/a.rs", "use x;\n//! Does a.\n", "header");
    }

    #[test]
    fn sizes_do_not_count_tests() {
        let code = "fn a() {}\n".repeat(400);
        passes(sizes, "src/a.rs", &code);
        passes(sizes, "src/a.rs", &format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n"));
        catches(sizes, "src/a.rs", &format!("{code}fn b() {{}}\n#[cfg(test)]\nmod tests {{\n{code}}}\n"), "401 lines");
        catches(sizes, "src/a.rs", &format!("#[cfg(test)]\nuse x::{{a, b}};\n{code}fn b() {{}}\n"), "401 lines");
    }

    #[test]
    fn panics_are_found() {
        passes(panics_and_prints, "src/a.rs", "fn a() { b.unwrap_or(c); assert!(d); std::panic::catch_unwind(e); }");
        passes(
            panics_and_prints,
            "src/a.rs",
            "/// a.unwrap()\nfn a() {}\n#[cfg(test)]\nmod t { fn a() { b.unwrap() } }",
        );
        passes(panics_and_prints, "src/base/edge.rs", "fn a() { b.expect(\"c\"); }");
        passes(panics_and_prints, "tests/a.rs", "fn a() { b.unwrap(); }");
        for code in ["b\n.unwrap()", "b.map(Option::unwrap)", "b.expect(c)", "panic!()", "todo!()", "unimplemented!()"]
        {
            catches(panics_and_prints, "src/cli/a.rs", &format!("fn a() {{ {code}; }}"), "panics");
        }
        catches(panics_and_prints, "src/base/edge.rs", "fn a() { b.unwrap(); }", "panics");
        catches(panics_and_prints, "src/a.rs", "#[cfg(test)]\nuse x;\nfn a() { b.unwrap(); }", "a.rs:3");
        catches(panics_and_prints, "src/a.rs", "#[cfg(not(test))]\nfn a() { b.unwrap(); }", "panics");
    }

    #[test]
    fn prints_are_found() {
        passes(panics_and_prints, "src/cli/a.rs", "fn a() { println!(); eprintln!(); }");
        passes(panics_and_prints, "src/main.rs", "fn a() { eprintln!(); }");
        passes(panics_and_prints, "src/a.rs", "fn a() { b(r#\"println!(\"\")\"#); }");
        catches(panics_and_prints, "src/ops/a.rs", "fn a() { println!(); }", "prints");
        catches(panics_and_prints, "src/ops/a.rs", "fn a() { eprint!(); }", "prints");
        catches(panics_and_prints, "src/cli/a.rs", "fn a() { dbg!(b); }", "debugging");
    }

    #[test]
    fn silencers_are_found() {
        passes(silencers, "src/a.rs", "#[derive(Debug)] #[arg(ignore_case, allow = 1)] // #[allow(x)]\nstruct A;");
        catches(silencers, "tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}", "ignores a test");
        catches(silencers, "benches/a.rs", "#[ allow (dead_code)]\nfn a() {}", "silences");
        catches(silencers, "src/a.rs", "#![allow(dead_code)]", "silences");
        catches(silencers, "src/a.rs", "#[cfg_attr(unix, allow(dead_code))]\nfn a() {}", "silences");
    }

    #[test]
    fn white_space_is_found() {
        let check = |text| white_space("a.md", text);
        assert_eq!(check("a\n\n  b\n"), [""; 0]);
        assert_eq!(check(""), [""; 0]);
        assert_eq!(check("a\n\tb\n"), ["a.md:2: has a tab: use spaces"]);
        assert_eq!(check("a \nb\n"), ["a.md:1: has white space at its end"]);
        assert_eq!(check("a"), ["a.md: does not end with exactly one newline"]);
        assert_eq!(check("a\n\n"), ["a.md: does not end with exactly one newline"]);
    }

    #[test]
    fn globs_are_found() {
        passes(globs, "src/a.rs", "use a::b;\n#[cfg(test)]\nmod tests { use super::*; }");
        passes(globs, "tests/a.rs", "mod b { use super::*; }");
        passes(globs, "src/a.rs", "fn a(kind: Kind) { use Kind::*; }");
        catches(globs, "src/a.rs", "use super::*;", "super::*");
        catches(globs, "src/a.rs", "pub use b::{c, d::*};", "b::d::*");
        catches(globs, "src/a.rs", "#[cfg(test)]\nmod tests { use proptest::prelude::*; }", "prelude");
        catches(globs, "tests/a.rs", "use proptest::prelude::*;", "prelude");
    }

    #[test]
    fn clocks_are_found() {
        passes(edges, "src/base/edge.rs", "fn a() { Timestamp::now(); getrandom::fill(b); }");
        passes(edges, "src/cli/a.rs", "fn a() { std::env::var(b); Instant::now(); }");
        passes(edges, "src/ops/a.rs", "fn a() { clock.now(); env!(\"A\"); }\n#[cfg(test)]\nfn b() { Instant::now(); }");
        for code in [
            "jiff::Timestamp::now()",
            "SystemTime::now()",
            "b.unwrap_or_else(Instant::now)",
            "getrandom::fill(b)",
            "std::env::var_os(b)",
        ] {
            catches(edges, "src/ops/a.rs", &format!("fn a() {{ {code}; }}"), "only the edges may");
        }
        catches(edges, "src/ops/a.rs", "use std::{env::{self, var}, fs};", "env::var");
        catches(edges, "src/store/retry.rs", "fn a() { SystemTime::now(); }", "only the edges may");
        catches(edges, "src/store/retry.rs", "fn a() { Instant::now(); }", "only the edges may");
    }

    #[test]
    fn test_files_are_known_by_their_declaration() {
        let planted = [
            ("src/a/mod.rs", "#[cfg(test)]\nmod proofs;\nmod code;"),
            ("src/a/proofs.rs", "fn a() { b.unwrap(); }"),
            ("src/a/proofs/deep.rs", "fn a() { b.unwrap(); }"),
            ("src/a/code.rs", "fn a() { b.unwrap(); }"),
        ];
        let mut files: Vec<File> = planted.iter().map(|(path, text)| File::new(path, text)).collect();
        mark_test_files(&mut files);
        let found: Vec<String> = files.iter().flat_map(panics_and_prints).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/a/code.rs"), "{found:?}");
    }
}
