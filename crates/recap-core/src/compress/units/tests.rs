#![allow(clippy::unwrap_used, clippy::expect_used, clippy::string_slice, reason = "tests")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 13] = [
    Kind::Json,
    Kind::Jsonl,
    Kind::Table,
    Kind::Log,
    Kind::TestOutput,
    Kind::StackTrace,
    Kind::Diff,
    Kind::Code,
    Kind::Listing,
    Kind::Grep,
    Kind::Html,
    Kind::Markdown,
    Kind::Prose,
];

/// Says what is wrong with a text's units, if anything is.
pub fn fault(text: &str, units: &[Unit]) -> Option<String> {
    let mut covered = 0;
    for (index, unit) in units.iter().enumerate() {
        let Some(gap) = text.get(covered..unit.span.start) else {
            return Some(format!("{index}: not ascending"));
        };
        let Some(own) = text.get(unit.span.clone()) else {
            return Some(format!("{index}: not on borders"));
        };
        if !gap.trim().is_empty() {
            return Some(format!("{index}: {gap:?} is in no unit"));
        }
        if own.trim().is_empty() || own.len() > UNIT_BYTES {
            return Some(format!("{index}: {} bytes", own.len()));
        }
        if unit.parent.is_some_and(|parent| parent as usize >= index) {
            return Some(format!("{index}: parent {:?} is not earlier", unit.parent));
        }
        covered = unit.span.end;
    }
    let rest = text.get(covered..).unwrap_or_default();
    (!rest.trim().is_empty()).then(|| format!("{rest:?} is in no unit"))
}

fn shown(text: &str) -> String {
    let cut = units(text);
    let mut out = format!("{:?}\n", cut.kind);
    for (index, unit) in cut.units.iter().enumerate() {
        let parent = unit.parent.map_or(String::new(), |parent| format!(" <{parent}"));
        writeln!(out, "{index} {:?}{parent}: {:?}", unit.role, &text[unit.span.clone()]).unwrap();
    }
    out
}

proptest! {
    #[test]
    fn units_hold_every_byte_of_any_text(text in any::<String>(), kind in 0..KINDS.len()) {
        prop_assert_eq!(fault(&text, &units(&text).units), None);
        prop_assert_eq!(fault(&text, &fine_units(&text).units), None);
        prop_assert_eq!(fault(&text, &units_as(&text, KINDS[kind]).units), None);
    }

    #[test]
    fn units_hold_every_byte_of_structured_noise(
        parts in prop::collection::vec("[{}\\[\\],:\"'<>/\\\\]|<a href=\"|</a>|<h1>|<!--|-->|def f\\(x\\):|  |\n|\t|[a-zé]{1,9}|[0-9]{1,4}|@@ -1 |diff --git |# |```|\\| ", 0..200),
        repeat in 1..20_usize,
        kind in 0..KINDS.len(),
    ) {
        let text = parts.concat().repeat(repeat);
        prop_assert_eq!(fault(&text, &units(&text).units), None);
        prop_assert_eq!(fault(&text, &fine_units(&text).units), None);
        prop_assert_eq!(fault(&text, &units_as(&text, KINDS[kind]).units), None);
    }
}

#[test]
fn json_members_stand_under_their_keys() {
    let items: Vec<String> = (0..3)
        .map(|n| {
            format!(
                "{{\"id\": \"A{n}\", \"name\": \"lamp\", \"note\": \"{}\", \"tags\": [\"x\", \"y\"]}}",
                "long words ".repeat(14)
            )
        })
        .collect();
    let text = format!("{{\"total\": 3, \"items\": [{}]}}", items.join(", "));
    insta::assert_snapshot!(shown(&text));
}

#[test]
fn html_keeps_texts_links_and_fields() {
    let text = "<html><head><title>Shop</title><style>p {}</style></head><body>\n<h1 class=\"x\">Lamps</h1>\n<p>Our <b>best</b> lamps.</p>\n<a class=\"y\" href=\"/lamp/1\" rel=z>Red lamp</a>\n<input type=\"text\" name=\"q\"></body></html>";
    insta::assert_snapshot!(shown(text));
}

#[test]
fn traces_end_in_an_error() {
    let text = "starting\nTraceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g()\n  File \"/usr/lib/python3/site-packages/z.py\", line 9, in g\n    raise KeyError\nKeyError: 'x'\nbye";
    insta::assert_snapshot!(shown(text));
}

#[test]
fn code_lines_stand_under_signatures() {
    let text = "     1\timport os\n     2\t\n     3\tclass A:\n     4\t    def f(self, x):\n     5\t        y = x + 1\n     6\t        return y\n     7\t\n     8\tdef g():\n     9\t    pass\n";
    insta::assert_snapshot!(shown(text));
}
