//! The operator's folder: `<dir>/<set>/<kind>.md`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{File, GuidelineFault, Kind, Place};

/// Most bytes of one guideline.
pub(super) const MOST_BYTES: u64 = 256 * 1024;
const MOST_NAME_BYTES: usize = 64;

/// Reads all sets of a folder. Files beside the sets, other files than `.md` and hidden entries are passed over.
pub(super) fn files(dir: &Path, faults: &mut Vec<GuidelineFault>) -> Vec<File> {
    let mut files = Vec::new();
    for path in noted(entries(dir), faults).unwrap_or_default() {
        if !path.is_dir() {
            continue;
        }
        match set_name(&path) {
            Some(set) => read_set(set, &path, &mut files, faults),
            None => faults.push(GuidelineFault::SetName { path }),
        }
    }
    files
}

fn read_set(set: &str, folder: &Path, files: &mut Vec<File>, faults: &mut Vec<GuidelineFault>) {
    for path in noted(entries(folder), faults).unwrap_or_default() {
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let Some(kind) = path.file_stem().and_then(|stem| Kind::of(stem.to_str()?)) else {
            faults.push(GuidelineFault::KindName { path });
            continue;
        };
        if let Some(text) = noted(read(&path), faults) {
            files.push(File { place: Place { set: set.to_owned(), kind }, path, text });
        }
    }
}

fn noted<T>(result: Result<T, GuidelineFault>, faults: &mut Vec<GuidelineFault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// Returns what stands in a folder, by name, without hidden entries.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, GuidelineFault> {
    let unreadable = |source| GuidelineFault::Unreadable { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn set_name(folder: &Path) -> Option<&str> {
    folder.file_name()?.to_str().filter(|name| is_set_name(name))
}

/// Tells whether a set can have this name: 1 to 64 of `a-z 0-9 _ -`.
pub(super) fn is_set_name(name: &str) -> bool {
    (1..=MOST_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// How a folder stands: when each of its files and folders was changed, and how large it is.
pub(super) type Stamps = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Returns how a folder stands; what cannot be read is left out.
pub(super) fn stamps(dir: &Path) -> Stamps {
    let inner = entries(dir).unwrap_or_default().into_iter().flat_map(|path| {
        let files = if path.is_dir() { entries(&path).unwrap_or_default() } else { Vec::new() };
        files.into_iter().chain([path])
    });
    let stamp = |path: PathBuf| {
        let metadata = std::fs::metadata(&path).ok()?;
        Some((path, (metadata.modified().ok(), metadata.len())))
    };
    inner.filter_map(stamp).collect()
}

fn read(path: &Path) -> Result<String, GuidelineFault> {
    let unreadable = |source| GuidelineFault::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(GuidelineFault::Large { path: path.to_owned(), most: MOST_BYTES });
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        GuidelineFault::NotUtf8 { path: path.to_owned(), line, column }
    })
}
