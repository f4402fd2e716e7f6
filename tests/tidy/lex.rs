//! Rust source as tokens: comments gone, literals hollow, test code marked. As much of the grammar as the house rules
//! need, and no more.

/// One token.
#[derive(Clone, Debug)]
pub struct Token {
    /// An identifier or number, `::`, a single punctuation character, or [`LITERAL`].
    pub text: String,
    /// From 1.
    pub line: usize,
    /// Inside an item under `#[cfg(test)]`.
    pub in_test: bool,
}

/// Stands for every string, byte string and character.
pub const LITERAL: &str = "\"\"";

/// The tokens of `source`; total, whatever the text.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    let mut tokens = lexer.tokens;
    mark_tests(&mut tokens);
    tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == '\n' {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn push(&mut self, text: String) {
        self.tokens.push(Token { text, line: self.line, in_test: false });
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_while(|c| c != '\n'),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            (':', ':') => {
                self.push("::".to_owned());
                self.skip(2);
            }
            (c, _) if is_word(c) => self.word(),
            (c, _) => {
                if !c.is_whitespace() {
                    self.push(c.to_string());
                }
                self.skip(1);
            }
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.at < self.chars.len() && wanted(self.peek(0)) {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    /// From the opening quote on.
    fn string(&mut self) {
        self.push(LITERAL.to_owned());
        self.skip(1);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.skip(if self.peek(0) == '\\' { 2 } else { 1 });
        }
        self.skip(1);
    }

    /// From the first `#` or the quote on, after `r`.
    fn raw_string(&mut self, hashes: usize) {
        self.push(LITERAL.to_owned());
        self.skip(hashes + 1);
        while self.at < self.chars.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            self.skip(if closes { hashes + 1 } else { 1 });
            if closes {
                return;
            }
        }
    }

    /// A character, or a lifetime, which leaves no token.
    fn quote(&mut self) {
        if self.peek(1) != '\\' && self.peek(2) != '\'' {
            self.skip(1);
            return self.skip_while(is_word);
        }
        self.push(LITERAL.to_owned());
        self.skip(if self.peek(1) == '\\' { 3 } else { 2 });
        self.skip_while(|c| c != '\'');
        self.skip(1);
    }

    fn word(&mut self) {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word: String = self.chars[start..self.at].iter().collect();
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
        match (word.as_str(), self.peek(hashes)) {
            ("r" | "br" | "cr", '"') => self.raw_string(hashes),
            ("b" | "c", '"') if hashes == 0 => self.string(),
            ("b", '\'') if hashes == 0 => self.quote(),
            // A raw identifier: the word itself follows.
            ("r", _) if hashes == 1 => self.skip(1),
            _ => self.push(word),
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The index after the bracket that closes the one at `open`.
pub fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// The words of the attribute that starts at `index` (`#[...]` or `#![...]`), whether it is an inner one, and the index
/// after it.
pub fn attribute(tokens: &[Token], index: usize) -> Option<(Vec<&str>, bool, usize)> {
    let text = |index: usize| tokens.get(index).map(|token| token.text.as_str());
    let is_inner = text(index + 1) == Some("!");
    let open = index + 1 + usize::from(is_inner);
    if text(index) != Some("#") || text(open) != Some("[") {
        return None;
    }
    let end = after_group(tokens, open);
    let words = tokens[open + 1..end].iter().map(|token| token.text.as_str()).collect();
    Some((words, is_inner, end))
}

fn mark_tests(tokens: &mut [Token]) {
    let mut index = 0;
    while index < tokens.len() {
        let Some((words, is_inner, end)) = attribute(tokens, index) else {
            index += 1;
            continue;
        };
        let is_test = words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not");
        let stop = match (is_test, is_inner) {
            (false, _) => {
                index = end;
                continue;
            }
            (true, true) => tokens.len(),
            (true, false) => after_item(tokens, end),
        };
        tokens[index..stop].iter_mut().for_each(|token| token.in_test = true);
        index = stop;
    }
}

/// The index after the item (or statement, field, variant) that starts at `index`, its further attributes included.
fn after_item(tokens: &[Token], mut index: usize) -> usize {
    while let Some((_, _, end)) = attribute(tokens, index) {
        index = end;
    }
    const ITEMS: [&str; 15] = [
        "pub", "mod", "fn", "use", "impl", "struct", "enum", "const", "static", "type", "trait", "unsafe", "async",
        "extern", "let",
    ];
    let is_item = tokens.get(index).is_some_and(|token| ITEMS.contains(&token.text.as_str()));
    let is_import = |token: &Token| token.text == "use" || token.text == "let";
    let ends_with_brace = !tokens.get(index).is_some_and(is_import) && !tokens.get(index + 1).is_some_and(is_import);
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            ";" => return index + 1,
            "," if !is_item => return index + 1,
            "}" => return index,
            "{" if ends_with_brace => return after_group(tokens, index),
            "(" | "[" | "{" => index = after_group(tokens, index),
            _ => index += 1,
        }
    }
    index
}
