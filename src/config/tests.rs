#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;

use super::*;

fn with_environment(pairs: &[(&str, &str)]) -> Result<Layered, LoadError> {
    let environment: HashMap<String, String> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(&Flags::default(), environment)
}

fn faults(pairs: &[(&str, &str)]) -> Vec<String> {
    match with_environment(pairs) {
        Err(LoadError::Faults(faults)) => faults.iter().map(|fault| fault.key.clone()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_file_is_complete_and_valid() {
    let uncommented: String = DEFAULTS
        .lines()
        .map(|line| if line.starts_with('#') && !line.starts_with("# ") { line.trim_start_matches('#') } else { line })
        .filter(|line| !line.contains("_file =") && !line.starts_with("dir ="))
        .fold(String::new(), |text, line| text + line + "\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recapd.toml"), uncommented).unwrap();
    let flags = Flags { data_dir: Some(folder.path().to_owned()), ..Flags::default() };
    let layered = load(&flags, HashMap::new()).unwrap();
    assert!(layered.config.storage.database_url.is_some());
}

#[test]
fn later_layers_win_and_origins_are_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recapd.toml"), "[context]\nbudget = 1000\nlow_mark = 0.4\n").unwrap();
    let mut flags = Flags { data_dir: Some(folder.path().to_owned()), ..Flags::default() };
    flags.overrides.insert("server.listen".into(), "127.0.0.1:0".into());
    let environment = HashMap::from([
        ("RECAPD_CONTEXT__BUDGET".to_owned(), "2000".to_owned()),
        ("RECAPD_DATA_DIR".to_owned(), "/elsewhere".to_owned()),
    ]);
    let layered = load(&flags, environment).unwrap();
    assert_eq!(layered.config.context.budget, 2000);
    assert!((layered.config.context.low_mark - 0.4).abs() < f64::EPSILON);
    assert_eq!(layered.config.server.listen.port(), 0);
    let origin = |key: &str| layered.shown.iter().find(|shown| shown.key == key).unwrap().origin.clone();
    assert_eq!(origin("context.budget"), "environment");
    assert!(origin("context.low_mark").ends_with("recapd.toml"));
    assert_eq!(origin("server.listen"), "flag");
    assert_eq!(origin("context.soft_mark"), "default");
}

#[test]
fn every_fault_is_reported_at_once_with_its_key() {
    let keys = faults(&[
        ("RECAPD_CONTEXT__LOW_MARK", "0.95"),
        ("RECAPD_COMPRESS__HISTORY", "llm"),
        ("RECAPD_LIMITS__MAX_DEPTH", "1000"),
        ("RECAPD_AUTH__KEY_FILE", "/nonexistent"),
        ("RECAPD_GUIDELINES__DIR", "/nonexistent"),
    ]);
    assert_eq!(keys, ["limits.max_depth", "context.low_mark", "compress.history", "auth.key_file", "guidelines.dir"]);
    let keys =
        faults(&[("RECAPD_CONTEXT__BUGDET", "1"), ("RECAPD_LMM__MODEL", "x"), ("RECAPD_LIMITS__MAX_DEPTH", "deep")]);
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert_eq!(keys.first().map(String::as_str), Some("lmm"));
}

#[test]
fn an_open_address_without_keys_is_an_error() {
    assert_eq!(faults(&[("RECAPD_SERVER__LISTEN", "0.0.0.0:7878")]), ["auth.key_file"]);
}

#[test]
fn secrets_are_masked() {
    let set = [("RECAPD_STORAGE__DATABASE_URL", "postgres://u:secret@h/d"), ("RECAPD_LLM__API_KEY", "sk-secret@")];
    let layered = with_environment(&set).unwrap();
    assert!(!format!("{:?}", layered.config).contains("secret@"));
    assert!(layered.shown.iter().all(|shown| !shown.value.contains("secret@")));
    // what is shown and logged must not hold a password
    assert_eq!(faults(&[("RECAPD_LLM__BASE_URL", "https://u:secret@h/v1")]), ["llm.base_url"]);
}
