//! Every path that a source names, imports spelled out one by one.

use crate::lex::{Token, after_group};

/// A path as written, such as `["crate", "base", "ids"]`; a glob ends with `*`.
#[derive(Debug)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    pub in_test: bool,
    pub is_import: bool,
    /// How many `mod name { ... }` of the same file are around it.
    pub inline_modules: usize,
}

impl Named {
    /// Whether `segments` stand in it side by side.
    pub fn contains(&self, segments: &[&str]) -> bool {
        self.segments.windows(segments.len()).any(|window| window == segments)
    }

    pub fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// All paths, in the order of the text.
pub fn paths(tokens: &[Token]) -> Vec<Named> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut module_ends: Vec<usize> = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        module_ends.retain(|end| index < *end);
        if text(index) == "mod" && text(index + 2) == "{" {
            module_ends.push(after_group(tokens, index + 2));
            index += 3;
            continue;
        }
        let is_import = text(index) == "use" && text(index + 1) != "<";
        let mut reader = Reader { tokens, at: index + usize::from(is_import), paths: Vec::new() };
        if is_import {
            reader.tree(&[]);
        } else if is_name(text(index)) {
            reader.plain();
        } else {
            index += 1;
            continue;
        }
        let Token { line, in_test, .. } = tokens[index];
        let inline_modules = module_ends.len();
        let named = |(segments, line)| Named { segments, line, in_test, is_import, inline_modules };
        found.extend(reader.paths.into_iter().map(|(segments, at)| named((segments, at.unwrap_or(line)))));
        index = reader.at.max(index + 1);
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Segments and, where it is not that of the first token, the line.
    paths: Vec<(Vec<String>, Option<usize>)>,
}

impl Reader<'_> {
    fn text(&self) -> &str {
        self.tokens.get(self.at).map_or("", |token| token.text.as_str())
    }

    /// `a::b::c` as it stands in an expression or a type.
    fn plain(&mut self) {
        let mut segments = vec![self.text().to_owned()];
        self.at += 1;
        while self.text() == "::" && self.tokens.get(self.at + 1).is_some_and(|token| is_name(&token.text)) {
            self.at += 1;
            segments.push(self.text().to_owned());
            self.at += 1;
        }
        self.paths.push((segments, None));
    }

    /// One branch of an import, up to its `,`, `}` or `;`.
    fn tree(&mut self, prefix: &[String]) {
        let mut segments = prefix.to_vec();
        let line = self.tokens.get(self.at).map(|token| token.line);
        let mut is_group = false;
        while !matches!(self.text(), "" | "," | "}" | ";") {
            match self.text() {
                "::" => self.at += 1,
                "as" => self.at += 2,
                "{" => {
                    is_group = true;
                    self.at += 1;
                    while !matches!(self.text(), "" | "}") {
                        self.tree(&segments);
                        if self.text() == "," {
                            self.at += 1;
                        }
                        if self.text() == ";" {
                            return;
                        }
                    }
                    self.at += 1;
                }
                word => {
                    segments.push(word.to_owned());
                    self.at += 1;
                }
            }
        }
        if !is_group {
            self.paths.push((segments, line));
        }
    }
}
