#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use recap_core::compress::{Rules, Verdict};

use super::*;
use crate::config;

fn load(dir: Option<&Path>) -> Result<Guidelines, GuidelineFaults> {
    Guidelines::load(&config::Guidelines { dir: dir.map(Path::to_owned), watch_ms: 0 })
}

fn write(dir: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn all_shipped_guidelines_have_rules_that_compile_and_words() {
    for file in shipped::files() {
        let guideline = Guideline::parse(&file.text).unwrap();
        RulesMatcher::new(&guideline.rules).unwrap();
        assert!(guideline.body.contains("Never"), "{}", file.path.display());
        assert_eq!(guideline.rules == Rules::default(), file.set == DEFAULT_SET, "{}", file.path.display());
    }
    let sets = load(None).unwrap();
    assert_eq!(sets.all().map(|(name, _)| name).collect::<Vec<_>>(), ["coding", "default", "service"]);
}

#[test]
fn the_shipped_rules_tell_noise_from_news() {
    let sets = load(None).unwrap();
    let cases = [
        ("coding", "error[E0308]: mismatched types", Verdict::Keep),
        ("coding", "test store::append ... FAILED", Verdict::Keep),
        ("coding", "Collecting numpy==1.26", Verdict::Drop),
        ("coding", " 45%|████▌     | 45/100 [00:01<00:01]", Verdict::Drop),
        ("coding", "[=====>      ] 45%", Verdict::Drop),
        ("coding", "45% of the shards are stale", Verdict::Neutral),
        ("coding", "Downloading: error: no route to host", Verdict::Keep),
        ("service", "The refund was declined by the bank.", Verdict::Keep),
        ("service", "\"error\": null", Verdict::Neutral),
        ("default", "error: anything", Verdict::Neutral),
    ];
    for (set, line, verdict) in cases {
        assert_eq!(sets.get(Some(set)).unwrap().observation.rules.verdict(line), verdict, "{set}: {line}");
    }
}

#[test]
fn a_folder_overrides_and_adds_and_what_it_lacks_is_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "coding/history.md", "---\ndrop: [noise]\n---\n");
    write(dir.path(), "ours/history.md", "Just words.");
    write(dir.path(), "README.md", "---\nno: [set]\n");
    write(dir.path(), "ours/notes.txt", "---\n");
    write(dir.path(), ".git/x.md", "---\n");
    let (shipped, sets) = (load(None).unwrap(), load(Some(dir.path())).unwrap());
    let (before, after) = (shipped.get(Some("coding")).unwrap(), sets.get(Some("coding")).unwrap());
    assert_ne!(before.history.label, after.history.label);
    assert_eq!(before.observation.label, after.observation.label);
    assert_eq!(after.history.rules.verdict("noise"), Verdict::Drop);
    let ours = sets.get(Some("ours")).unwrap();
    let hash = OriginalHash::of("Just words.").to_string();
    assert_eq!(ours.history.label, format!("ours/history@{}", &hash.chars().take(11).collect::<String>()));
    assert_eq!(ours.observation.label, sets.default_set().observation.label);
}

#[test]
fn every_fault_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "coding/history.md", "---\nkeep:\n  - fine\nkep: [x]\n---\n");
    write(dir.path(), "coding/observation.md", "---\nkeep:\n  - /(/\n---\n");
    write(dir.path(), "default/history.md", "---\nkeep: []\n");
    write(dir.path(), "ours/histroy.md", "x");
    write(dir.path(), "Ours/history.md", "x");
    write(dir.path(), "ours/history.md", b"good\nba\xff");
    write(dir.path(), "ours/observation.md", vec![b' '; 300_000]);
    let said = load(Some(dir.path())).unwrap_err().to_string();
    let root = dir.path().display();
    for words in [
        format!("{root}/coding/history.md: line 4, column 1: unknown field `kep`"),
        format!("{root}/coding/observation.md: line 3, column 3: keep: the pattern `/(/`"),
        format!("{root}/default/history.md: line 1: the front matter is not closed"),
        format!("{root}/ours/histroy.md: a set holds"),
        format!("{root}/Ours: the name of a set"),
        format!("{root}/ours/history.md: line 2, column 3: not UTF-8"),
        format!("{root}/ours/observation.md has more than 262144 bytes"),
    ] {
        assert!(said.contains(&words), "{words}\nis not in\n{said}");
    }
    let said = load(Some(&dir.path().join("gone"))).unwrap_err().to_string();
    assert!(said.starts_with("guidelines.dir: ") && said.contains("gone cannot be read"), "{said}");
}
