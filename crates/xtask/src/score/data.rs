//! The recorded trajectories that the scorer can read, recognised by shape.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// Returns the trajectory files of a folder, sorted by name. A file whose first line has no `messages` has
/// another shape and is passed over, which is said.
///
/// # Errors
///
/// Fails when the folder or a file cannot be read, or when no file is left.
pub fn trajectory_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if plain.strip_suffix(".jsonl").is_none() {
            continue;
        }
        if has_messages(&path)? {
            files.push(path);
        } else {
            eprintln!("skipped {name}: its first line has no `messages`");
        }
    }
    if files.is_empty() {
        bail!("{} holds no file of trajectories", folder.display());
    }
    files.sort();
    Ok(files)
}

fn has_messages(path: &Path) -> Result<bool> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line).with_context(|| format!("cannot read {}", path.display()))?;
    let first: Value =
        serde_json::from_str(&line).with_context(|| format!("the first line of {} is no JSON", path.display()))?;
    Ok(first.get("messages").is_some_and(Value::is_array))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn files_are_chosen_by_the_shape_of_their_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let packed = File::create(dir.path().join("b.jsonl.gz")).unwrap();
        let mut packed = GzEncoder::new(packed, Compression::fast());
        packed.write_all(b"{\"id\": \"x\", \"messages\": []}\n{}\n").unwrap();
        packed.finish().unwrap();
        std::fs::write(dir.path().join("a.jsonl"), "{\"messages\": []}\n").unwrap();
        std::fs::write(dir.path().join("raw.jsonl"), "{\"steps\": []}\n").unwrap();
        std::fs::write(dir.path().join("notes.md"), "no data").unwrap();
        let names: Vec<_> =
            trajectory_files(dir.path()).unwrap().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.jsonl", "b.jsonl.gz"]);
    }

    #[test]
    fn a_folder_without_trajectories_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(trajectory_files(dir.path()).unwrap_err().to_string().contains("no file of trajectories"));
    }
}
