//! Where the values of a front matter are written: an outline of its YAML with spans, so that edits leave every other byte
//! alone.
//!
//! Knows what guidelines are written in: block and flow lists and maps, plain and quoted scalars, comments. Anything else
//! (anchors, tags, block scalars, scalars over many lines) has no outline.

use std::ops::Range;

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// A list.
    List(Vec<Range<usize>>, Style),
    /// A map.
    Map(Vec<Entry>, Style),
    /// Text or a number, with its quotes.
    Scalar(Range<usize>),
}

/// How a list or map is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    /// A line or more for each member, with so many spaces before it.
    Block(usize),
    /// Between brackets; where the closing one stands.
    Flow(usize),
}

/// A member of a map.
#[derive(Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// All of it; of a block its whole lines.
    pub(super) span: Range<usize>,
    /// Where its colon ends.
    pub(super) colon: usize,
    pub(super) value: Node,
}

/// Depth of nesting that is followed.
const MOST_DEPTH: usize = 8;

/// Returns the outline of a front matter's YAML, a block map; `None` where it is written in another way.
pub(super) fn outline(yaml: &str) -> Option<Node> {
    let mut reader = Reader { yaml, lines: lines(yaml), at: 0 };
    if reader.lines.is_empty() {
        return Some(Node::Map(Vec::new(), Style::Block(0)));
    }
    let node = reader.map(0, 0)?;
    (reader.at == reader.lines.len()).then_some(node)
}

impl Node {
    /// Returns a member's value of a map.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match self {
            Self::Map(entries, _) => entries.iter().find(|entry| entry.key == key),
            Self::List(..) | Self::Scalar(_) => None,
        }
    }
}

/// A line that says something.
struct Line {
    start: usize,
    /// After its line feed.
    end: usize,
    indent: usize,
}

fn lines(yaml: &str) -> Vec<Line> {
    let mut start = 0;
    let all = yaml.split_inclusive('\n').map(|line| {
        let at = start;
        start += line.len();
        (Line { start: at, end: start, indent: line.len() - line.trim_start_matches(' ').len() }, line.trim())
    });
    all.filter(|(_, text)| !text.is_empty() && !text.starts_with('#')).map(|(line, _)| line).collect()
}

/// Reads line by line what says something.
struct Reader<'a> {
    yaml: &'a str,
    lines: Vec<Line>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn line(&self) -> Option<(&Line, &'a str)> {
        let line = self.lines.get(self.at)?;
        Some((line, self.yaml.get(line.start + line.indent..line.end)?.trim_end()))
    }

    fn block(&mut self, depth: usize) -> Option<Node> {
        let (line, text) = self.line()?;
        let indent = line.indent;
        if is_item(text) { self.list(indent) } else { self.map(indent, depth) }
    }

    fn list(&mut self, indent: usize) -> Option<Node> {
        let mut items = Vec::new();
        while let Some((line, text)) = self.line() {
            if line.indent < indent || (line.indent == indent && !is_item(text)) {
                break;
            }
            if line.indent > indent {
                return None;
            }
            let mut span = line.start..line.end;
            self.at += 1;
            while let Some((more, _)) = self.line().filter(|(more, _)| more.indent > indent) {
                span.end = more.end;
                self.at += 1;
            }
            items.push(span);
        }
        Some(Node::List(items, Style::Block(indent)))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Option<Node> {
        let mut entries = Vec::new();
        while let Some((line, text)) = self.line() {
            if line.indent < indent {
                break;
            }
            let (start, content) = (line.start, line.start + line.indent);
            let (key, rest) = text.split_once(':').filter(|_| line.indent == indent && depth < MOST_DEPTH)?;
            let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !key.is_empty();
            let colon = content + key.len() + 1;
            if !is_name || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
                return None;
            }
            let key = key.to_owned();
            let value = self.value(colon, indent, depth)?;
            let end = self.at.checked_sub(1).and_then(|last| self.lines.get(last))?.end;
            entries.push(Entry { key, span: start..end, colon, value });
        }
        Some(Node::Map(entries, Style::Block(indent)))
    }

    /// Reads what follows a colon, and goes on to the line after it.
    fn value(&mut self, colon: usize, indent: usize, depth: usize) -> Option<Node> {
        let end = self.lines.get(self.at)?.end;
        let rest = self.yaml.get(colon..end)?;
        let start = colon + rest.len() - rest.trim_start().len();
        self.at += 1;
        if rest.trim().is_empty() || is_comment(rest) {
            let (next, text) = self.line()?;
            let is_below = next.indent > indent || (next.indent == indent && is_item(text));
            return if is_below { self.block(depth + 1) } else { None };
        }
        let (node, after) = Flow { yaml: self.yaml }.value(start, Ends::Line, 0)?;
        while self.lines.get(self.at).is_some_and(|line| line.start < after) {
            self.at += 1;
        }
        let last = self.at.checked_sub(1).and_then(|last| self.lines.get(last))?;
        let tail = self.yaml.get(after..last.end)?;
        let is_over = tail.trim().is_empty() || is_comment(tail);
        let goes_on = self.line().is_some_and(|(next, _)| next.indent > indent);
        (is_over && !goes_on).then_some(node)
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Tells a comment, which white space comes before.
fn is_comment(text: &str) -> bool {
    text.starts_with([' ', '\t']) && text.trim_start().starts_with('#')
}

/// Where a plain scalar ends.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// With its line.
    Line,
    /// Before a comma or a closing bracket.
    Flow,
}

/// Reads values that stand in one piece.
struct Flow<'a> {
    yaml: &'a str,
}

impl Flow<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.yaml.as_bytes().get(at).copied()
    }

    /// Returns the value that starts at a place, and where it ends.
    fn value(&self, at: usize, ends: Ends, depth: usize) -> Option<(Node, usize)> {
        match self.byte(at)? {
            _ if depth > MOST_DEPTH => None,
            b'[' => self.list(at, depth),
            b'{' => self.map(at, depth),
            quote @ (b'"' | b'\'') => {
                let end = self.quoted(at, quote)?;
                Some((Node::Scalar(at..end), end))
            }
            b'|' | b'>' | b'&' | b'*' | b'!' | b'%' | b'@' | b'`' => None,
            _ => {
                let end = self.plain(at, ends)?;
                Some((Node::Scalar(at..end), end))
            }
        }
    }

    fn list(&self, open: usize, depth: usize) -> Option<(Node, usize)> {
        let mut items = Vec::new();
        let mut at = self.skip(open + 1);
        while self.byte(at)? != b']' {
            let (_, end) = self.value(at, Ends::Flow, depth + 1)?;
            items.push(at..end);
            at = self.next(end, b']')?;
        }
        Some((Node::List(items, Style::Flow(at)), at + 1))
    }

    fn map(&self, open: usize, depth: usize) -> Option<(Node, usize)> {
        let mut entries = Vec::new();
        let mut at = self.skip(open + 1);
        while self.byte(at)? != b'}' {
            let rest = self.yaml.get(at..)?;
            let (key, _) = rest.split_once(':')?;
            let colon = at + key.len() + 1;
            let is_name = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !key.is_empty();
            if !is_name || !self.byte(colon)?.is_ascii_whitespace() {
                return None;
            }
            let (value, end) = self.value(self.skip(colon), Ends::Flow, depth + 1)?;
            entries.push(Entry { key: key.to_owned(), span: at..end, colon, value });
            at = self.next(end, b'}')?;
        }
        Some((Node::Map(entries, Style::Flow(at)), at + 1))
    }

    /// Goes over a comma to the next member, or to the closing bracket.
    fn next(&self, end: usize, close: u8) -> Option<usize> {
        let at = self.skip(end);
        match self.byte(at)? {
            b',' => Some(self.skip(at + 1)),
            byte => (byte == close).then_some(at),
        }
    }

    /// Goes over white space and comments.
    fn skip(&self, mut at: usize) -> usize {
        while let Some(byte) = self.byte(at) {
            let before = at.checked_sub(1).and_then(|before| self.byte(before));
            if byte == b'#' && before.is_some_and(|byte| byte.is_ascii_whitespace()) {
                at += self.yaml.get(at..).and_then(|rest| rest.find('\n')).unwrap_or(self.yaml.len() - at);
            } else if byte.is_ascii_whitespace() {
                at += 1;
            } else {
                break;
            }
        }
        at
    }

    fn quoted(&self, open: usize, quote: u8) -> Option<usize> {
        let mut at = open + 1;
        loop {
            match self.byte(at)? {
                b'\n' => return None,
                b'\\' if quote == b'"' => at += 2,
                byte if byte == quote && quote == b'\'' && self.byte(at + 1) == Some(quote) => at += 2,
                byte if byte == quote => return Some(at + 1),
                _ => at += 1,
            }
        }
    }

    fn plain(&self, start: usize, ends: Ends) -> Option<usize> {
        let mut at = start;
        while let Some(byte) = self.byte(at) {
            let over = match byte {
                b'\n' => true,
                b'#' => at > start && self.byte(at - 1).is_some_and(|byte| byte.is_ascii_whitespace()),
                b',' | b']' | b'}' => ends == Ends::Flow,
                b'[' | b'{' if ends == Ends::Flow => return None,
                _ => false,
            };
            if over {
                break;
            }
            at += 1;
        }
        let text = self.yaml.get(start..at)?.trim_end();
        (!text.is_empty()).then_some(start + text.len())
    }
}
