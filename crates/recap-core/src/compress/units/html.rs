//! HTML as texts, links and form fields; every other tag is boilerplate.
//!
//! A tolerant linear scan instead of a parser: units must name bytes of the source, and pages come cut and broken.

use std::ops::Range;

use super::build::Builder;
use super::{UnitRole, line_role};

/// Elements whose text is a heading.
const HEADINGS: [&str; 10] = ["h1", "h2", "h3", "h4", "h5", "h6", "title", "legend", "caption", "summary"];
/// Elements whose whole content is no text for a reader.
const SILENT: [&str; 5] = ["script", "style", "noscript", "svg", "template"];
/// Elements that are fields of a form.
const FIELDS: [&str; 5] = ["input", "button", "select", "option", "textarea"];
/// The longest tag of a field that is kept whole, in bytes.
const FIELD_BYTES: usize = 200;

/// The longest link that is one unit with its text, in bytes.
const LINK_BYTES: usize = 240;

/// What the scan remembers between tags.
#[derive(Default)]
struct Place {
    heading: Option<u32>,
    in_heading: bool,
    /// Names of silent elements that never close from here on.
    unclosed: Vec<String>,
    /// Where a link's address stands while its text has not come.
    link: Option<Range<usize>>,
}

/// Cuts HTML.
pub fn cut(builder: &mut Builder<'_>) {
    let text = builder.text();
    let mut place = Place::default();
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let Some(len) = tag_len(rest) else {
            let end = next_tag(rest).map_or(text.len(), |next| at + next);
            push_text(builder, at..end, &mut place);
            at = end;
            continue;
        };
        let tag = rest.get(..len).unwrap_or_default();
        let name = name_of(tag).to_ascii_lowercase();
        let silent = SILENT.contains(&name.as_str()) && !tag.starts_with("</") && !tag.ends_with("/>");
        let mut end = at + len;
        if silent && !place.unclosed.contains(&name) {
            match silent_len(rest, len, &name) {
                Some(len) => end = at + len,
                None => place.unclosed.push(name.clone()),
            }
        }
        push_tag(builder, at..end, tag, &name, &mut place);
        at = end;
    }
}

/// Adds the text between two tags, line by line.
fn push_text(builder: &mut Builder<'_>, range: Range<usize>, place: &mut Place) {
    let text = builder.text();
    for (span, line) in super::build::lines_in(text, range) {
        let start = span.end - line.trim_start().len();
        let span = match place.link.take() {
            Some(link) if span.end - link.start <= LINK_BYTES => link.start..span.end,
            Some(link) => {
                push_link(builder, link, place.heading);
                start..span.end
            }
            None => start..span.end,
        };
        if place.in_heading {
            place.heading = builder.push(span, UnitRole::Heading, None).or(place.heading);
        } else {
            builder.push(span, line_role(line), place.heading);
        }
    }
}

/// Adds an address.
fn push_link(builder: &mut Builder<'_>, link: Range<usize>, heading: Option<u32>) {
    builder.push(link, UnitRole::Plain, heading);
}

/// Adds a tag: a link's address and a form field are content, the rest is boilerplate.
fn push_tag(builder: &mut Builder<'_>, span: Range<usize>, tag: &str, name: &str, place: &mut Place) {
    let closing = tag.starts_with("</");
    if let Some(link) = place.link.take() {
        push_link(builder, link, place.heading);
    }
    if HEADINGS.contains(&name) {
        place.in_heading = !closing;
    }
    if !closing && FIELDS.contains(&name) && span.len() <= FIELD_BYTES {
        builder.push(span, UnitRole::Plain, place.heading);
        return;
    }
    let address = if closing { None } else { address_in(tag) };
    if let Some(inner) = address.map(|inner| span.start + inner.start..span.start + inner.end) {
        builder.push(span.start..inner.start, UnitRole::Boilerplate, None);
        if name == "a" {
            place.link = Some(inner);
        } else {
            push_link(builder, inner, place.heading);
            builder.push(builder.cursor()..span.end, UnitRole::Boilerplate, None);
        }
        return;
    }
    builder.push(span, UnitRole::Boilerplate, None);
}

/// Returns the range of `href="…"`, `alt="…"` or `action="…"` in a tag.
fn address_in(tag: &str) -> Option<Range<usize>> {
    let start = ["href=", "alt=", "action="].iter().find_map(|name| {
        tag.find(name).filter(|at| tag.get(..*at).is_some_and(|before| before.ends_with(char::is_whitespace)))
    })?;
    let value = start + tag.get(start..)?.find('=')? + 1;
    let rest = tag.get(value..)?;
    let len = match rest.bytes().next()? {
        quote @ (b'"' | b'\'') => rest.get(1..)?.find(char::from(quote))? + 2,
        _ => rest.find([' ', '>', '\n', '\t'])?,
    };
    let empty = rest.get(..len)?.trim_matches(['"', '\'', '#']).is_empty();
    (!empty).then_some(start..value + len)
}

/// Returns the length of the tag or comment at the start of a text; to its end if it is not closed before the next one.
fn tag_len(rest: &str) -> Option<usize> {
    if rest.starts_with("<!--") {
        return Some(rest.find("-->").map_or(rest.len(), |at| at + 3));
    }
    starts_tag(rest.as_bytes()).then(|| tag_end(rest.as_bytes()))
}

/// Returns where a tag ends: behind its `>` outside quotes, or before a `<` that opens the next tag.
fn tag_end(bytes: &[u8]) -> usize {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match (quote, byte) {
            (Some(open), byte) if open == *byte => quote = None,
            (Some(_), b'\n') => quote = None,
            (None, b'>') => return at + 1,
            (None, b'<') => return at,
            (None, b'"' | b'\'') if bytes.get(at - 1) == Some(&b'=') => quote = Some(*byte),
            _ => {}
        }
    }
    bytes.len()
}

fn starts_tag(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'<')
        && bytes.get(1).is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'!' | b'?'))
}

/// Returns where the next tag starts, at least one byte on.
fn next_tag(rest: &str) -> Option<usize> {
    rest.match_indices('<').map(|(at, _)| at).find(|at| *at > 0 && rest.as_bytes().get(*at..).is_some_and(starts_tag))
}

fn name_of(tag: &str) -> &str {
    let inner = tag.trim_start_matches(['<', '/', '!', '?']);
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    inner.get(..end).unwrap_or_default()
}

/// Returns the length of an element without text for readers, its closing tag included; `None` if it never closes.
fn silent_len(rest: &str, open: usize, name: &str) -> Option<usize> {
    let body = rest.get(open..)?;
    let at = body.find(&format!("</{name}"))?;
    let tail = body.get(at..)?;
    Some(open + at + tail.find('>').map_or(tail.len(), |end| end + 1))
}
