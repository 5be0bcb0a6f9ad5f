//! Reads Rust text just well enough for the structure rules: code without comments, string literals apart,
//! test modules left out.

use std::path::Path;

/// Whether a file holds tests alone: it lies in a `tests` folder or is named `tests.rs` or `…_tests.rs`.
pub fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| {
        let name = part.as_os_str().to_string_lossy();
        name == "tests" || name == "tests.rs" || name.ends_with("_tests.rs")
    })
}

/// A string literal and the line (from 1) that it begins on.
#[derive(Debug, PartialEq, Eq)]
pub struct Literal {
    pub line: usize,
    pub text: String,
}

/// A file's code outside its test modules. Comments and literals are blanked, lines keep their numbers.
#[derive(Debug)]
pub struct Source {
    pub code: String,
    pub literals: Vec<Literal>,
}

impl Source {
    /// Reads a file's text.
    pub fn read(text: &str) -> Self {
        let mut lexer = Lexer {
            chars: text.chars().collect(),
            at: 0,
            line: 1,
            code: String::with_capacity(text.len()),
            literals: Vec::new(),
        };
        lexer.run();
        let (code, removed) = without_tests(&lexer.code);
        let outside = |literal: &Literal| !removed.iter().any(|(first, last)| (*first..=*last).contains(&literal.line));
        Self { code, literals: lexer.literals.into_iter().filter(outside).collect() }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    literals: Vec<Literal>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self, written: char) {
        self.code.push(written);
        self.at += 1;
        self.line += usize::from(written == '\n');
    }

    /// Steps over `count` characters, of which only line ends reach the code.
    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            let line_end = self.peek(0) == Some('\n');
            self.step(if line_end { '\n' } else { ' ' });
        }
    }

    fn run(&mut self) {
        while let Some(char) = self.peek(0) {
            match (char, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', _) if self.raw_hashes(1).is_some() && !self.after_word() => {
                    self.raw_string(1);
                }
                ('b' | 'c', Some('r')) if self.raw_hashes(2).is_some() && !self.after_word() => {
                    self.raw_string(2);
                }
                ('\'', _) => self.quote(),
                _ => self.step(char),
            }
        }
    }

    fn after_word(&self) -> bool {
        self.code.chars().next_back().is_some_and(is_word)
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|char| char != '\n') {
            self.blank(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.blank(1);
                    continue;
                }
            }
            self.blank(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.blank(1);
        while let Some(char) = self.peek(0) {
            if char == '"' {
                self.blank(1);
                break;
            }
            text.push(char);
            if char == '\\' {
                text.extend(self.peek(1));
                self.blank(1);
            }
            self.blank(1);
        }
        self.literals.push(Literal { line, text });
    }

    /// The number of `#` before the quote of a raw string whose prefix has `prefix` letters.
    fn raw_hashes(&self, prefix: usize) -> Option<usize> {
        let rest = self.chars.get(self.at + prefix..).unwrap_or_default();
        let hashes = rest.iter().take_while(|char| **char == '#').count();
        (self.peek(prefix + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self, prefix: usize) {
        let line = self.line;
        let hashes = self.raw_hashes(prefix).unwrap_or(0);
        self.blank(prefix + hashes + 1);
        let mut text = String::new();
        while let Some(char) = self.peek(0) {
            if char == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.blank(hashes + 1);
                break;
            }
            text.push(char);
            self.blank(1);
        }
        self.literals.push(Literal { line, text });
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => {
                self.blank(3);
                while self.peek(0).is_some_and(|char| char != '\'') {
                    self.blank(1);
                }
                self.blank(1);
            }
            (Some(_), Some('\'')) => self.blank(3),
            _ => self.step('\''),
        }
    }
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Blanks every item under `#[cfg(test)]` and returns the first and last lines of each.
fn without_tests(code: &str) -> (String, Vec<(usize, usize)>) {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut removed = Vec::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once(MARK) {
        kept.push_str(before);
        let first = 1 + kept.matches('\n').count();
        let (item, following) = after.split_at_checked(item_length(after)).unwrap_or((after, ""));
        kept.extend(item.chars().filter(|char| *char == '\n'));
        removed.push((first, 1 + kept.matches('\n').count()));
        rest = following;
    }
    kept.push_str(rest);
    (kept, removed)
}

/// The length in bytes of the item that `code` begins with: up to its closing brace, or to the semicolon of
/// one without braces.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, char) in code.char_indices() {
        match char {
            '{' | '(' | '[' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' | ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = Source::read(
            "let a = \"crate::x\"; // crate::y\n/* crate::z /* deep */ */ let b = r#\"say \"hi\"\"#;\n'\"' 'a",
        );
        assert!(!source.code.contains("crate"), "{}", source.code);
        assert_eq!(source.code.lines().count(), 3);
        assert!(source.code.ends_with("'a"));
        let texts: Vec<_> = source.literals.iter().map(|literal| (literal.line, literal.text.as_str())).collect();
        assert_eq!(texts, [(1, "crate::x"), (2, "say \"hi\"")]);
    }

    #[test]
    fn escapes_do_not_end_a_literal() {
        let source = Source::read(r#"f("a\"b", '\'', '\\', '\u{1F600}', b"c", br"d"); let next = 1;"#);
        assert!(source.code.contains("let next = 1;"), "{}", source.code);
        let texts: Vec<_> = source.literals.iter().map(|literal| literal.text.as_str()).collect();
        assert_eq!(texts, ["a\\\"b", "c", "d"]);
    }

    #[test]
    fn test_modules_are_left_out_and_line_numbers_stay() {
        let text = "use a;\n#[cfg(test)]\nmod tests {\n  use crate::x;\n  const S: &str = \"in\";\n}\nconst T: &str = \"out\";\n#[cfg(test)]\nmod more;\nuse b;";
        let source = Source::read(text);
        assert!(!source.code.contains("crate") && !source.code.contains("more"), "{}", source.code);
        assert!(source.code.lines().nth(9).is_some_and(|line| line == "use b;"), "{:?}", source.code);
        assert_eq!(source.literals, [Literal { line: 7, text: "out".into() }]);
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for text in ["\"open", "r#\"open", "/* open", "'\\", "#[cfg(test)]", "#[cfg(test)] mod x {", "'"] {
            Source::read(text);
        }
    }

    #[test]
    fn test_files_are_known_by_name() {
        for (file, is_test) in
            [("src/a/tests.rs", true), ("tests/main.rs", true), ("src/a_tests.rs", true), ("src/attests.rs", false)]
        {
            assert_eq!(is_test_file(Path::new(file)), is_test, "{file}");
        }
    }
}
