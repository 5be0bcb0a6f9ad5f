//! What a single line looks like.

/// HTML element names that tell markup from wrapping tags.
const HTML_TAGS: [&str; 62] = [
    "a", "article", "aside", "b", "body", "br", "button", "code", "dd", "div", "dl", "dt", "em", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "i", "iframe", "img", "input", "label",
    "legend", "li", "link", "main", "meta", "nav", "ol", "option", "p", "path", "pre", "script", "section", "select",
    "small", "span", "strong", "style", "svg", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "title",
    "tr", "u", "ul", "video", "!doctype",
];

/// Tells whether a name is an HTML element's.
#[must_use]
pub fn is_html_tag(name: &str) -> bool {
    HTML_TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name))
}

/// Returns the name of the opening tag at the start of a text.
#[must_use]
pub fn tag_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('<')?;
    let end = rest.bytes().enumerate().position(|(at, b)| {
        !(b.is_ascii_alphanumeric() || (at == 0 && b == b'!') || matches!(b, b'_' | b'-' | b':'))
    })?;
    let name = rest.get(..end).filter(|name| !name.is_empty() && end <= 40)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!');
    let tail = rest.get(end..rest.floor_char_boundary(end + 2000))?;
    let close = tail.find('>')?;
    (starts && tail.starts_with([' ', '>', '/', '\n', '\t']) && tail.find('<').is_none_or(|at| at > close))
        .then_some(name)
}

/// Returns how many HTML tags open in a line.
#[must_use]
pub fn html_tags(line: &str) -> usize {
    line.match_indices('<')
        .take(40)
        .filter(|(at, _)| {
            let rest = line.get(at + 1..).unwrap_or_default();
            let len = rest.bytes().take(10).take_while(|b| b.is_ascii_alphanumeric() || *b == b'!').count();
            let after = rest.as_bytes().get(len);
            matches!(after, Some(b' ' | b'>' | b'/') | None) && rest.get(..len).is_some_and(is_html_tag)
        })
        .count()
}

/// Returns the number that `cat -n`, `nl` or a viewer puts before a line, and where the line itself starts.
#[must_use]
pub fn number_prefix(line: &str) -> Option<(u64, usize)> {
    let bytes = line.as_bytes();
    let blanks = bytes.iter().take_while(|b| **b == b' ').count();
    let digits = bytes.iter().skip(blanks).take_while(|b| b.is_ascii_digit()).count();
    let end = blanks + digits;
    let number = line.get(blanks..end).filter(|_| (1..=7).contains(&digits))?.parse().ok()?;
    let width = match (bytes.get(end), bytes.get(end + 1)) {
        (None, _) => 0,
        (Some(b'\t' | b':' | b'|'), _) => 1,
        (Some(b' '), Some(b'|' | b' ')) => 2,
        (Some(_), _) => {
            let arrow = line.get(end..)?.starts_with('→');
            if arrow { '→'.len_utf8() } else { return None }
        }
    };
    Some((number, end + width))
}

/// Returns the length of the `path:`, `path:line:` or `path-line-` that `grep` puts before a match.
#[must_use]
pub fn grep_prefix(line: &str) -> Option<usize> {
    let head = line.get(..line.floor_char_boundary(260)).unwrap_or(line);
    let end = head.find([':', ' ', '\t', '"', '\'', '(', '=', '<', '{'])?;
    let path = head.get(..end)?;
    if !head.get(end..)?.starts_with(':') || !looks_like_file(path) {
        return None;
    }
    let rest = head.get(end + 1..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest.as_bytes().get(digits) {
        Some(b':' | b'-') if digits > 0 => Some(end + 1 + digits + 1),
        _ if rest.is_empty() || rest.starts_with("//") => None,
        _ => Some(end + 1),
    }
}

/// Tells a word that has a folder or a short file extension.
fn looks_like_file(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let dotted = name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && (1..=8).contains(&extension.len())
            && extension.bytes().all(|b| b.is_ascii_alphanumeric())
            && extension.bytes().any(|b| b.is_ascii_alphabetic())
    });
    let plain = word.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | '~'));
    plain && (dotted || (word.contains('/') && word.len() > 2))
}

/// Tells a line that is one path or file name and nothing else.
#[must_use]
pub fn is_path(line: &str) -> bool {
    let line = line.trim();
    line.len() <= 260 && !line.ends_with([';', ')', '>']) && looks_like_file(line.trim_end_matches('/'))
}

/// Tells a row of `ls -l`.
#[must_use]
pub fn is_ls_row(line: &str) -> bool {
    let bytes = line.trim_start().as_bytes();
    bytes.first().is_some_and(|b| b"-dlbcps".contains(b))
        && bytes.len() > 10
        && bytes.iter().skip(1).take(9).all(|b| b"rwxsStT-".contains(b))
}

/// Tells a row of `tree`.
#[must_use]
pub fn is_tree_row(line: &str) -> bool {
    ["├", "└", "│", "|-- ", "`-- "].iter().any(|mark| line.trim_start().starts_with(mark))
}

/// Returns the length of a timestamp or level at the start of a log line.
#[must_use]
pub fn log_prefix(line: &str) -> Option<usize> {
    let head = line.get(..line.floor_char_boundary(80)).unwrap_or(line);
    if let Some(len) = stamp_len(head) {
        return Some(len);
    }
    let levels = ["INFO", "WARN", "WARNING", "ERROR", "DEBUG", "TRACE", "FATAL", "NOTICE", "CRITICAL"];
    let bare = head.trim_start_matches(['[', ' ', '(']);
    levels
        .iter()
        .filter(|level| bare.starts_with(**level))
        .map(|level| level.len())
        .max()
        .filter(|len| bare.get(*len..).is_some_and(|rest| rest.starts_with([':', ' ', ']', '\t', ')', '|'])))
}

/// Returns the length of a date or clock time at the start of a line.
fn stamp_len(head: &str) -> Option<usize> {
    let bare = head.trim_start_matches(['[', '(']);
    let skip = head.len() - bare.len();
    let len = bare
        .bytes()
        .take_while(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b'T' | b'Z' | b'/' | b',' | b' ' | b'+'))
        .count();
    let stamp = bare.get(..len)?;
    let colons = stamp.matches(':').count();
    let dashes = stamp.matches(['-', '/']).count();
    let digits = stamp.bytes().filter(u8::is_ascii_digit).count();
    if (colons >= 2 && digits >= 6) || (dashes >= 2 && digits >= 8) {
        return Some(skip + len);
    }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let named = months.iter().any(|month| bare.starts_with(month));
    let clock = bare.get(..bare.floor_char_boundary(16)).is_some_and(|text| text.matches(':').count() >= 2);
    (named && clock).then_some(skip + bare.floor_char_boundary(15))
}

/// Tells a stack frame of a common runtime.
#[must_use]
pub fn is_frame(line: &str) -> bool {
    let bare = line.trim_start();
    let python = bare.starts_with("File \"") && bare.contains(", line ");
    let managed = bare.starts_with("at ") && (bare.contains('(') || bare.contains(':'));
    let native =
        bare.starts_with('#') && bare.as_bytes().get(1).is_some_and(u8::is_ascii_digit) && bare.contains(" in ");
    let numbered = bare.split_once(": ").is_some_and(|(number, rest)| {
        number.len() <= 3 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && rest.contains("::")
    });
    python || managed || native || numbered || bare.starts_with("Traceback (most recent call last)")
}

/// Tells a line that reports one test.
#[must_use]
pub fn is_test_row(line: &str) -> bool {
    let bare = line.trim();
    let marks = ["PASSED", "FAILED", "SKIPPED", "XFAIL", "XPASS"];
    let worded = bare.contains("::") && marks.iter().any(|mark| bare.contains(mark));
    let rust = bare.starts_with("test ")
        && (bare.ends_with("... ok") || bare.ends_with("... FAILED") || bare.ends_with("... ignored"));
    let python = bare.contains(" ... ") && (bare.ends_with("ok") || bare.ends_with("FAIL") || bare.ends_with("ERROR"));
    let go = ["--- PASS:", "--- FAIL:", "=== RUN", "--- SKIP:"].iter().any(|mark| bare.starts_with(mark));
    let glyph = ["✓ ", "✗ ", "✕ ", "✔ ", "✘ ", "ok ", "not ok "].iter().any(|mark| bare.starts_with(mark));
    let failed = bare.starts_with("FAILED ") || bare.starts_with("FAIL: ") || bare.starts_with("ERROR: test");
    let dots = bare.len() >= 5 && bare.bytes().all(|b| b".FEsxX".contains(&b)) && bare.contains("..");
    let file_dots = bare.ends_with("%]") && bare.contains('[') && bare.contains('.');
    worded || rust || python || go || glyph || failed || dots || file_dots
}

/// Tells a line in which a test runner opens or sums up.
#[must_use]
pub fn is_test_summary(line: &str) -> bool {
    let bare = line.trim().trim_matches(['=', ' ', '-']);
    let counts = [" passed", " failed", " errors in ", " skipped"].iter().any(|word| bare.contains(word))
        && bare.bytes().any(|b| b.is_ascii_digit())
        && (bare.contains(" in ") || bare.contains(','));
    let ran = bare.starts_with("Ran ") && bare.contains(" test");
    let marks = [
        "test session starts",
        "short test summary info",
        "test result: ",
        "FAILURES",
        "Tests: ",
        "Test Suites: ",
        "FAILED (",
        "OK (",
    ];
    counts || ran || marks.iter().any(|mark| bare.starts_with(mark))
}

/// Tells a row of a Markdown table.
#[must_use]
pub fn is_markdown_row(line: &str) -> bool {
    let bare = line.trim();
    bare.starts_with('|') && !bare.starts_with("|-- ") && bare.matches('|').count() >= 2
}

/// Returns the number of fields that a delimiter makes, delimiters inside double quotes apart.
#[must_use]
pub fn csv_fields(line: &str, delimiter: char) -> usize {
    let mut quoted = false;
    let mut fields = 1;
    for c in line.chars() {
        if c == '"' {
            quoted = !quoted;
        } else if c == delimiter && !quoted {
            fields += 1;
        }
    }
    fields
}

/// Tells a row with two or more columns apart by two or more spaces.
#[must_use]
pub fn is_aligned_row(line: &str) -> bool {
    let bare = line.trim();
    let columns = bare.split("  ").filter(|column| !column.trim().is_empty()).count();
    columns >= 3 && !bare.ends_with([';', '{', '}']) && line.len() < 1000
}

/// Tells a line that is only rules, frames or brackets.
#[must_use]
pub fn is_separator(line: &str) -> bool {
    !line.chars().any(char::is_alphanumeric)
}

/// Beginnings of lines of code.
const CODE_WORDS: [&str; 40] = [
    "def ",
    "class ",
    "fn ",
    "pub ",
    "func ",
    "function ",
    "import ",
    "from ",
    "return",
    "if ",
    "elif ",
    "else",
    "for ",
    "while ",
    "try:",
    "except",
    "raise ",
    "const ",
    "let ",
    "var ",
    "public ",
    "private ",
    "static ",
    "struct ",
    "enum ",
    "impl ",
    "use ",
    "#include",
    "#define",
    "package ",
    "export ",
    "async ",
    "await ",
    "@",
    "self.",
    "this.",
    "switch",
    "case ",
    "namespace ",
    "throw ",
];

/// Returns how much a line speaks for source code, 0 to 2.
#[must_use]
pub fn code_points(line: &str) -> usize {
    let bare = line.trim();
    let ends = bare.ends_with(['{', '}', ';']) || bare.ends_with("):") || bare.ends_with("),") || bare.ends_with("()");
    let worded = CODE_WORDS.iter().any(|word| bare.starts_with(word));
    let symbols =
        [" = ", "==", "->", "=>", "::", "+=", "!=", "();", "//", "/*", "\"\"\""].iter().any(|mark| bare.contains(mark));
    let closing = !bare.is_empty() && bare.bytes().all(|b| b"{}()[];,".contains(&b));
    let sentence = bare.ends_with('.') && bare.matches(' ').count() >= 5;
    if sentence {
        return 0;
    }
    if closing || (worded && (ends || symbols || bare.ends_with(':') || bare.contains('('))) {
        2
    } else {
        usize::from(ends || symbols || (worded && bare.matches(' ').count() <= 4))
    }
}

/// Returns how much a line speaks for Markdown, 0 to 3.
#[must_use]
pub fn markdown_points(line: &str) -> usize {
    let bare = line.trim_start();
    let hashes = bare.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes)
        && bare.get(hashes..).is_some_and(|rest| rest.starts_with(' '))
        && bare.len() == line.len()
    {
        return 3;
    }
    let bullet = ["- ", "* ", "+ ", "> "].iter().any(|mark| bare.starts_with(mark));
    let inline = bare.contains("](") || bare.contains("**") || bare.matches('`').count() >= 2;
    usize::from(bullet) + usize::from(inline) + usize::from(is_markdown_row(line))
}
