use super::*;
use crate::playbook::testing::bullet;
use crate::playbook::{Bullet, BulletId, Credit};

fn sample() -> Playbook {
    let counted = |id: &str, section: &str, content: &str, counts: [i64; 3]| -> Bullet {
        let mut bullet = Bullet { section: section.into(), ..bullet(id, content) };
        for (tag, count) in [Credit::Helpful, Credit::Harmful, Credit::Neutral].into_iter().zip(counts) {
            bullet.credits.of(tag, false).add(count, 0);
        }
        bullet.credits.of(Credit::Harmful, true).add(7, 0);
        bullet
    };
    let code = "Page through all of it:\n\n```python\n## until the last page\nwhile page:\n    page = next(page)\n```";
    Playbook {
        sections: ["STRATEGIES", "CODE", "PITFALLS:"].map(Into::into).to_vec(),
        bullets: vec![
            counted("shr-00001", "STRATEGIES", "Look at the API's documents first.", [3, 1, 0]),
            counted("code-00004", "CODE", code, [0, 0, 2]),
            counted("shr-00002", "STRATEGIES", "helpful=9 :: is how a counter is written", [0, 0, 0]),
        ],
        last_number: 4,
        ..Playbook::default()
    }
}

/// Id, section and content of what a text holds.
fn held(format: Format, text: &str) -> Vec<(String, String, String)> {
    let of = |bullet: ImportedBullet| {
        (bullet.id.unwrap_or_default(), bullet.section.to_string(), bullet.content.to_string())
    };
    read(format, text).unwrap().bullets.into_iter().map(of).collect()
}

fn is(held: &[(String, String, String)], expected: &[(&str, &str, &str)]) {
    let held: Vec<_> = held.iter().map(|(id, section, content)| (&**id, &**section, &**content)).collect();
    assert_eq!(held, expected);
}

fn fails(format: Format, text: &str) -> (usize, String) {
    let error = read(format, text).unwrap_err();
    (error.line, error.reason.to_string())
}

#[test]
fn formats_as_they_are_written() {
    let playbook = sample();
    insta::assert_snapshot!("ace", write(Format::Ace, &playbook));
    insta::assert_snapshot!("kayba", write(Format::Kayba, &playbook));
    insta::assert_snapshot!("markdown", write(Format::Markdown, &playbook));
    for format in Format::ALL {
        assert_eq!(Format::guess(&write(format, &playbook)), format);
    }
}

#[test]
fn counters_are_written_where_there_are_some() {
    let mut playbook = sample();
    for bullet in &mut playbook.bullets {
        bullet.credits = crate::playbook::Credits::default();
    }
    let text = write(Format::Ace, &playbook);
    assert!(text.starts_with("## STRATEGIES\n[shr-00001] Look at the API's documents first.\n"), "{text}");
    assert!(text.contains("[shr-00002] helpful=0 harmful=0 :: helpful=9 :: is how"), "{text}");
}

#[test]
fn raw_lines_of_other_programs_are_taken_as_they_stand() {
    let text = "\u{feff}# My playbook\n\n## CODE\n\n[code-1]  Example:\ndef f():\n    return 1\n\n# done\n- a list\n[see below] x\n\n\
                [code-2] helpful=2 ::\n  Indented\n\n    twice\n### NEXT:\n- one\n  more\n- two\n[a b] helpful=1 :: three\n";
    is(
        &held(Format::Ace, text),
        &[
            ("code-1", "CODE", "Example:\ndef f():\n    return 1\n\n# done\n- a list\n[see below] x"),
            ("code-2", "CODE", "Indented\n\n  twice"),
            ("", "NEXT:", "one\nmore"),
            ("", "NEXT:", "two"),
            ("a b", "NEXT:", "three"),
        ],
    );
    is(
        &held(Format::Ace, "Words first\n[a-1] x\n## Notes:\n## A\n[a-2] y\n## NOTES\n[a-3] z"),
        &[("", "OTHERS", "Words first"), ("a-1", "OTHERS", "x"), ("a-2", "A", "y"), ("a-3", "Notes:", "z")],
    );
}

#[test]
fn markdown_by_hand_is_taken() {
    let text = "# Lessons\n\n## Git\nWords without an item,\nof two lines.\n\n* **Always**: pull first\n  - nested\nlazy\n\n1. one\n\n   more\n2. two\n\n---\n\
                ```sh\n# no heading\n- no item\n```\n\n# Rust\n- [x] done\n- **[NOTE]** (really): yes\n";
    is(
        &held(Format::Markdown, text),
        &[
            ("", "Git", "Words without an item,\nof two lines."),
            ("", "Git", "**Always**: pull first\n  - nested\nlazy"),
            ("", "Git", "one\n\nmore"),
            ("", "Git", "two\n\n\n```sh\n# no heading\n- no item\n```"),
            ("", "Rust", "[x] done"),
            ("", "Rust", "**[NOTE]** (really): yes"),
        ],
    );
}

#[test]
fn skills_are_read_as_bullets() {
    let text = r#"{"skills": {"b c": {"content": "second", "section": "Unlisted", "embedding": null, "helpful": 2},
        "a-1": {"id": "a-1", "section": "Else", "content": "first", "evidence": "x", "status": "active"},
        "a-2": {"content": "gone", "status": "invalid"}},
        "sections": {"empty": [], "Rules": ["a-2", "nothing", "a-1", "a-1"]}, "next_id": 7, "similarity_decisions": {}}"#;
    is(&held(Format::Kayba, text), &[("a-1", "Rules", "first"), ("b c", "Unlisted", "second")]);
    let imported = read(Format::Kayba, text).unwrap();
    assert_eq!(imported.sections.iter().map(|section| &**section).collect::<Vec<_>>(), ["empty", "Rules", "Unlisted"]);
    assert_eq!(imported.bullets[1].counts, Counts { helpful: 2, ..Counts::default() });
}

#[test]
fn faults_name_their_line() {
    assert_eq!(fails(Format::Ace, "## A\n\n[a-1] x\n[a-2]\n\n[a-3] y"), (4, "the bullet's text is empty".into()));
    assert_eq!(fails(Format::Ace, "## A\n[a-1] x\r\n\u{1}"), (2, "the bullet's text holds control characters".into()));
    assert_eq!(fails(Format::Ace, "[a-1] x\n## :").0, 2);
    assert_eq!(fails(Format::Ace, "[a-1] helpful=99999999999 :: x").0, 1);
    assert_eq!(fails(Format::Markdown, "- x\n- **[a]** (helpful 99999999999): x").0, 2);
    let long = format!("## A\n- x\n- {}", "y".repeat(20_000));
    assert!(fails(Format::Markdown, &long).1.contains("has 20000 bytes"));
    assert_eq!(fails(Format::Ace, &"[a-1] x\n".repeat(MOST_IMPORT_BULLETS + 1)).0, MOST_IMPORT_BULLETS + 1);
    assert_eq!(
        fails(Format::Kayba, "{\"bullets\": {\n\"a\": {\"content\": \"\"}}}"),
        (2, "the bullet's text is empty".into())
    );
    assert_eq!(fails(Format::Kayba, "{\"bullets\": {\n\"a\": {\"content\": \"x\",\n\"helpful\": -1}}}").0, 3);
    assert_eq!(fails(Format::Kayba, "{\"bullets\": {},\n\n").0, 3);
    assert_eq!(fails(Format::Ace, &" ".repeat(MOST_IMPORT_BYTES + 1)).0, 1);
}

#[test]
fn ids_that_cannot_be_kept_are_replaced() {
    let mut playbook = sample();
    playbook.retired.insert("shr-00003".parse().unwrap());
    let text = "## STRATEGIES\n[shr-00001] Look at the API's documents first.\n[shr-00002] other words\n[shr-00003] a\n\
                [a-9] b\n[a-9] b\n[a-9] c\n[a-900000000000] d\nhelpful=9 :: is how a counter is written\n";
    let text = text.replace("[a-9] b\n[a-9] b", "[a-9] helpful=2 neutral=1 :: b\n[a-9] b");
    let text = text.replace("\nhelpful", "\n## NEW\nhelpful");
    let import = read(Format::Ace, &text).unwrap().operations(&playbook);
    let renamed: Vec<_> = import.renamed.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    let expected =
        [("shr-00002", "shr-00010"), ("shr-00003", "shr-00011"), ("a-9", "shr-00012"), ("a-900000000000", "shr-00013")];
    assert_eq!(renamed, expected);
    assert_eq!(import.skipped.iter().map(BulletId::as_str).collect::<Vec<_>>(), ["shr-00001", "a-9", "shr-00002"]);
    assert_eq!(import.imported, 5);
    insta::assert_snapshot!("operations", serde_json::to_string_pretty(&import.operations).unwrap());
}
