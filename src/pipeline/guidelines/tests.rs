#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use recap_core::compress::{Rules, Verdict};

use super::*;
use crate::config;

/// The members of a reflector's reply that a body explains.
const ANALYSED: [&str; 8] =
    ["first_divergence", "category", "missing", "lost_variables", "loops", "remedies", "unused", "confidence"];
const REFLECTED: [&str; 7] =
    ["reasoning", "error_identification", "root_cause", "correct_approach", "key_insight", "bullet_tags", "turns"];

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
        let Place { set, kind } = &file.place;
        let guideline = Steering::read(set, *kind, &file.text).unwrap().guideline;
        assert_eq!(guideline.kind, Some(*kind));
        assert_eq!(recap_core::secrets::secret_in(&file.text), None);
        assert!(guideline.body.contains("Never"), "{}", file.path.display());
        let has_rules = set != DEFAULT_SET && matches!(kind, Kind::Observation | Kind::History);
        assert_eq!(guideline.rules != Rules::default(), has_rules, "{}", file.path.display());
    }
    let sets = load(None).unwrap();
    assert_eq!(sets.all().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["coding", "default", "service"]);
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

#[test]
fn shipped_bodies_are_filled_and_ask_for_the_sections_that_they_name() {
    for file in shipped::files() {
        let guideline = Guideline::parse_as(file.place.kind, &file.text).unwrap();
        let filled = guideline.render_body(&[("most_tokens", "777")]).unwrap();
        assert!(filled.contains("777") && filled.len() < 3_000, "{}", file.path.display());
        let headings: Vec<&str> = filled
            .lines()
            .filter_map(|line| line.strip_prefix("- **")?.split_once("**"))
            .map(|(name, _)| name)
            .collect();
        let written: Vec<&str> = match file.place.kind {
            Kind::Reflect => REFLECTED.to_vec(),
            Kind::Curate => vec!["add", "update", "merge", "delete"],
            Kind::Analyse => ANALYSED.to_vec(),
            Kind::Propose => vec!["rules", "body"],
            _ => guideline.write.iter().map(|section| section.name.as_str()).collect(),
        };
        assert_eq!(headings, written, "{}", file.path.display());
    }
}

#[test]
fn a_share_of_trajectories_is_steered_by_the_version_on_trial() {
    let place = |set: &str, kind| Place { set: set.to_owned(), kind };
    let champions: BTreeMap<Place, Steering> = steering_of(&shipped::files(), &mut Vec::new());
    let trial = Steering::read("coding", Kind::History, "Try this.").unwrap();
    let with_share = |ppm| {
        let served = champions
            .clone()
            .into_iter()
            .map(|(place, champion)| (place, current::Served { champion: Some(champion), canary: None }));
        let mut served: BTreeMap<_, _> = served.collect();
        served.get_mut(&place("coding", Kind::History)).unwrap().canary = Some((trial.clone(), ppm));
        Current::new(served, 0, Vec::new()).unwrap()
    };
    let ids: Vec<String> = (0..10_000).map(|n| format!("0192f0c4-7d1e-7000-8000-{n:012x}")).collect();
    let steered = |current: &Current| -> Vec<bool> {
        let is_tried = |id: &String| current.for_trajectory("coding", id).unwrap().history.hash == trial.hash;
        ids.iter().map(is_tried).collect()
    };
    let tenth = steered(&with_share(100_000));
    let count = tenth.iter().filter(|tried| **tried).count();
    assert!((900..=1_100).contains(&count), "{count}");
    assert_eq!(tenth, steered(&with_share(100_000)));
    let third = steered(&with_share(333_333));
    assert!(tenth.iter().zip(&third).all(|(small, large)| *large || !small), "a larger share has all of a smaller one");
    assert!(steered(&with_share(current::WHOLE_PPM)).iter().all(|tried| *tried));
    let current = with_share(current::WHOLE_PPM);
    let (tried, champions) = (current.for_trajectory("coding", "t").unwrap(), current.champions("coding").unwrap());
    assert_eq!(tried.observation.label, champions.observation.label);
    assert_ne!(tried.history.label, champions.history.label);
    assert!(current.for_trajectory("service", "t").unwrap().is_same(&current.champions("service").unwrap()));
    assert!(current.for_trajectory("gone", "t").is_none());
}
