//! Texts of every kind that tools reply with, of any size.

use std::fmt::Write as _;

use super::dice::Dice;

/// What a text is like.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    JsonReply,
    JsonLines,
    Log,
    TestOutput,
    Diff,
    Code,
    Listing,
    Grep,
    Html,
    Markdown,
    Csv,
    StackTrace,
    Prose,
    Unicode,
    OneLine,
    Brackets,
    Blank,
}

impl Text {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::JsonReply,
        Self::JsonLines,
        Self::Log,
        Self::TestOutput,
        Self::Diff,
        Self::Code,
        Self::Listing,
        Self::Grep,
        Self::Html,
        Self::Markdown,
        Self::Csv,
        Self::StackTrace,
        Self::Prose,
        Self::Unicode,
        Self::OneLine,
        Self::Brackets,
        Self::Blank,
    ];

    /// Writes a text of about `bytes` bytes; never more than one record longer.
    pub fn write(self, bytes: usize, seed: u64) -> String {
        let mut dice = Dice::new(seed);
        let (open, close) = self.frame();
        let mut out = open.to_owned();
        let mut number = 0;
        while out.len() < bytes {
            if number > 0 {
                out.push_str(self.joint());
            }
            out.push_str(&self.record(&mut dice, number));
            number += 1;
        }
        out.push_str(close);
        out
    }

    fn frame(self) -> (&'static str, &'static str) {
        match self {
            Self::JsonReply => (r#"{"status":"ok","items":["#, r#"],"next":null}"#),
            Self::Html => ("<!DOCTYPE html><html><head><title>Results</title></head><body>\n", "</body></html>\n"),
            Self::Csv => ("id,customer,city,amount,placed\n", "\n"),
            Self::TestOutput => (
                "============ test session starts ============\n",
                "\n======= 3 failed, 812 passed in 41.07s =======\n",
            ),
            _ => ("", ""),
        }
    }

    fn joint(self) -> &'static str {
        match self {
            Self::JsonReply => ",",
            Self::OneLine | Self::Brackets | Self::Blank => "",
            Self::Prose | Self::Markdown => "\n\n",
            _ => "\n",
        }
    }

    fn record(self, dice: &mut Dice, number: u64) -> String {
        match self {
            Self::JsonReply | Self::JsonLines => order(dice, number),
            Self::Log => log_line(dice, number),
            Self::TestOutput => test_line(dice, number),
            Self::Diff => hunk(dice, number),
            Self::Code => function(dice),
            Self::Listing => listing_line(dice),
            Self::Grep => format!("{}:{}:    let {} = {};", dice.path(), dice.below(900), dice.name(), dice.name()),
            Self::Html => format!(
                "<div class=\"row\"><h3>{}</h3><p>{} <a href=\"/orders/{number}\">more</a></p></div>",
                dice.sentence(3),
                dice.sentence(14)
            ),
            Self::Markdown => section(dice, number),
            Self::Csv => format!(
                "{number},{},{},{}.{:02},2026-0{}-1{}",
                dice.name(),
                dice.word(),
                dice.below(900),
                dice.below(100),
                1 + dice.below(9),
                dice.below(10)
            ),
            Self::StackTrace => trace(dice, number),
            Self::Prose => paragraph(dice),
            Self::Unicode => format!(
                "Prüfung {number}: 日本語のテキスト {} 🎉 e\u{301}té — Ωμέγα {}",
                dice.word(),
                dice.below(9_999)
            ),
            Self::OneLine => dice.below(u64::MAX >> 31).to_string(),
            Self::Brackets => dice.pick(&["[", "{\"a\":", "((", "<<", "\\\\", "\"", "```"]).to_owned(),
            Self::Blank => dice.pick(&["   ", "\n", "\t ", "\r\n"]).to_owned(),
        }
    }
}

fn order(dice: &mut Dice, number: u64) -> String {
    format!(
        r#"{{"id":"W{:07}","customer":{{"name":"{}","city":"{}"}},"total":{}.{:02},"items":[{{"sku":"S{}","count":{}}}],"note":"{}","paid":{}}}"#,
        number * 7 + 13,
        dice.name(),
        dice.word(),
        dice.below(900),
        dice.below(100),
        dice.below(99_999),
        1 + dice.below(9),
        dice.sentence(8),
        dice.below(2) == 0
    )
}

fn log_line(dice: &mut Dice, number: u64) -> String {
    let level = dice.pick(&["INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"]);
    format!(
        "2026-03-0{}T12:{:02}:{:02}.{:03}Z {level} worker-{} {}: {} id=W{:07}",
        1 + number / 3600 % 9,
        number / 60 % 60,
        number % 60,
        dice.below(1000),
        dice.below(8),
        dice.name(),
        dice.sentence(7),
        dice.below(9_999_999)
    )
}

fn test_line(dice: &mut Dice, number: u64) -> String {
    if number % 97 == 96 {
        return format!(
            "tests/test_{}.py::test_{} FAILED\nE   AssertionError: assert {} == {}\ntests/test_{}.py:{}: AssertionError",
            dice.word(),
            dice.name(),
            dice.below(900),
            dice.below(900),
            dice.word(),
            dice.below(400)
        );
    }
    format!("tests/test_{}.py::test_{} PASSED [{:3}%]", dice.word(), dice.name(), number % 100)
}

fn hunk(dice: &mut Dice, number: u64) -> String {
    let path = dice.path();
    let mut out = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{number},8 +{number},9 @@");
    for _ in 0..12 {
        let mark = dice.pick(&[" ", " ", " ", "+", "-"]);
        let _infallible = write!(out, "\n{mark}    {} = {}({});", dice.name(), dice.name(), dice.below(99));
    }
    out
}

fn function(dice: &mut Dice) -> String {
    let mut out = format!(
        "/// {}.\npub fn {}({}: u32, {}: &str) -> Option<String> {{",
        dice.sentence(9),
        dice.name(),
        dice.word(),
        dice.word()
    );
    for _ in 0..6 {
        let _infallible =
            write!(out, "\n    let {} = {}(\"{}\", {})?;", dice.name(), dice.name(), dice.word(), dice.below(4096));
    }
    out.push_str("\n    Some(format!(\"{}\", 42))\n}\n");
    out
}

fn listing_line(dice: &mut Dice) -> String {
    format!(
        "-rw-r--r--  1 build staff {:>8} Mar {:>2} 12:{:02} {}",
        dice.below(9_999_999),
        1 + dice.below(28),
        dice.below(60),
        dice.path()
    )
}

fn section(dice: &mut Dice, number: u64) -> String {
    format!(
        "## {number}. {}\n\n{}\n\n- {}\n- `{}`\n\n| name | count |\n|---|---|\n| {} | {} |",
        dice.sentence(4),
        paragraph(dice),
        dice.sentence(9),
        dice.path(),
        dice.name(),
        dice.below(900)
    )
}

fn trace(dice: &mut Dice, number: u64) -> String {
    let mut out = "Traceback (most recent call last):".to_owned();
    for _ in 0..8 {
        let _infallible = write!(
            out,
            "\n  File \"/app/{}\", line {}, in {}\n    {}({})",
            dice.path(),
            dice.below(900),
            dice.name(),
            dice.name(),
            dice.name()
        );
    }
    let _infallible = write!(out, "\nValueError: {} {number}\n", dice.sentence(6));
    out
}

fn paragraph(dice: &mut Dice) -> String {
    (0..5)
        .map(|_| {
            let words = 8 + usize::try_from(dice.below(12)).unwrap_or_default();
            format!("Then {}.", dice.sentence(words))
        })
        .collect::<Vec<_>>()
        .join(" ")
}
