//! A Rust file as the rules look at it: comments and strings apart from code, product apart from tests.

/// A Rust file: its text, the same with comments and the insides of strings blanked, and the strings apart.
pub struct Source {
    pub path: String,
    pub text: String,
    pub code: String,
    pub strings: Vec<(usize, String)>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, strings) = blank(text);
        Self { path: path.to_owned(), text: text.to_owned(), code, strings }
    }

    pub fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }

    fn is_product(&self) -> bool {
        self.path.starts_with("src/") && !self.path.ends_with("/tests.rs")
    }

    /// The number of lines before the tests, which come last.
    pub fn product_lines(&self) -> usize {
        if !self.is_product() {
            return 0;
        }
        let lines: Vec<&str> = self.code.lines().collect();
        let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ");
        lines.windows(2).position(is_tests).unwrap_or(lines.len())
    }

    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().take(self.product_lines()).enumerate().map(|(index, line)| (index + 1, line))
    }

    pub fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// `cli` of `src/cli/serve.rs`, `main` of `src/main.rs`.
    pub fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        inside.split('/').next().map(|part| part.trim_end_matches(".rs"))
    }
}

/// Blanks comments, strings and characters, keeping every line where it is, and collects the strings.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let kind = token(&chars, at);
        if let Token::Code = kind {
            code.push(chars[at]);
            line += usize::from(chars[at] == '\n');
            at += 1;
            continue;
        }
        let end = end_of(kind, &chars, at).clamp(at + 1, chars.len());
        let piece: String = chars[at..end].iter().collect();
        code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        if let Token::Text | Token::RawText(_) = kind {
            let inside = piece.trim_start_matches(['r', '#', 'b']).trim_matches(['"', '#']);
            strings.push((line, inside.to_owned()));
        }
        line += piece.matches('\n').count();
        at = end;
    }
    (code, strings)
}

#[derive(Clone, Copy)]
enum Token {
    Code,
    LineComment,
    BlockComment,
    Text,
    /// With this many number signs.
    RawText(usize),
    Character,
}

fn token(chars: &[char], at: usize) -> Token {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or(' ');
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    match (chars[at], next(1)) {
        ('/', '/') => Token::LineComment,
        ('/', '*') => Token::BlockComment,
        ('"', _) => Token::Text,
        ('r', '"' | '#') if !in_word || chars[at - 1] == 'b' => {
            let signs = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + signs) == '"' { Token::RawText(signs) } else { Token::Code }
        }
        ('\'', '\\') => Token::Character,
        ('\'', _) if next(2) == '\'' => Token::Character,
        _ => Token::Code,
    }
}

fn end_of(kind: Token, chars: &[char], at: usize) -> usize {
    let find = |wanted: &str, from: usize| {
        let wanted: Vec<char> = wanted.chars().collect();
        let rest = chars.get(from..).unwrap_or_default();
        rest.windows(wanted.len()).position(|piece| piece == wanted).map_or(chars.len(), |found| from + found)
    };
    match kind {
        Token::Code => at + 1,
        Token::LineComment => find("\n", at),
        Token::BlockComment => find("*/", at + 2) + 2,
        Token::RawText(signs) => find(&format!("\"{}", "#".repeat(signs)), at + 2 + signs) + 1 + signs,
        Token::Text | Token::Character => {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != chars[at] {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            end + 1
        }
    }
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_comments_are_no_code() {
        let text =
            "let a = \"crate::x // \\\" {\"; // crate::y\n/* fn\n */ let b = r#\"a \" b\"#; let c = '\"';\n";
        let source = Source::new("src/a.rs", text);
        assert_eq!(words(&source.code).collect::<Vec<_>>(), ["let", "a", "let", "b", "let", "c"]);
        assert_eq!(source.code.lines().count(), text.lines().count());
        let strings = [(1, "crate::x // \\\" {".to_owned()), (3, "a \" b".to_owned())];
        assert_eq!(source.strings, strings);
    }

    #[test]
    fn a_lifetime_is_no_character() {
        let source = Source::new("src/a.rs", "fn f<'a>(x: &'a str) -> &'a str { x }");
        assert!(source.code.contains("&'a str { x }"));
    }

    #[test]
    fn tests_at_the_end_are_not_product() {
        let source = Source::new("src/a.rs", "use a;\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(source.product_lines(), 1);
        assert_eq!(Source::new("src/live/tests.rs", "use a;\n").product_lines(), 0);
    }
}
