//! Files to conversations, one at a time.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use serde_json::value::RawValue;

use super::shapes::{self, Conversation, Line};

/// The longest line or file that is read at once.
const MOST_BYTES: u64 = 1 << 30;

/// A file to import.
pub struct Source {
    path: PathBuf,
    /// Its size on disk.
    pub bytes: u64,
}

/// A file and a line of it, from 1.
pub struct Place {
    path: PathBuf,
    line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

type Found = (Place, Result<Conversation, String>);

/// Returns the files that are named, and those in named folders, sorted.
///
/// # Errors
///
/// Fails for a path that is not there.
pub fn found(paths: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut files = Vec::new();
    for path in paths {
        let about = std::fs::metadata(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if about.is_dir() {
            in_folder(path, &mut files)?;
        } else {
            files.push(Source { path: path.clone(), bytes: about.len() });
        }
    }
    Ok(files)
}

fn in_folder(folder: &Path, files: &mut Vec<Source>) -> anyhow::Result<()> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(unreadable)?;
    entries.sort();
    for path in entries {
        let about = std::fs::symlink_metadata(&path)?;
        if about.is_dir() {
            in_folder(&path, files)?;
        } else if about.is_file() && is_json(&path) {
            files.push(Source { path, bytes: about.len() });
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"))
}

fn is_json(path: &Path) -> bool {
    let name = name_of(path);
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

fn is_lines(path: &Path) -> bool {
    let name = name_of(path);
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".jsonl", ".ndjson"].iter().any(|end| name.ends_with(end))
}

impl Source {
    /// Returns its name without its folders.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Reads the conversations, or why one cannot be read, with their places.
    pub fn conversations(&self, bar: &ProgressBar) -> Box<dyn Iterator<Item = Found> + Send> {
        let reader = match self.open(bar) {
            Ok(reader) => reader,
            Err(error) => {
                return Box::new(std::iter::once((self.place(None), Err(error.to_string()))));
            }
        };
        if is_lines(&self.path) { Box::new(Lines::new(self.path.clone(), reader)) } else { self.whole(reader) }
    }

    fn open(&self, bar: &ProgressBar) -> std::io::Result<Box<dyn BufRead + Send>> {
        let file = bar.wrap_read(File::open(&self.path)?);
        Ok(if is_packed(&self.path) {
            Box::new(BufReader::new(MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        })
    }

    fn place(&self, line: Option<usize>) -> Place {
        Place { path: self.path.clone(), line }
    }

    fn whole(&self, reader: Box<dyn BufRead + Send>) -> Box<dyn Iterator<Item = Found> + Send> {
        let mut text = String::new();
        let read = reader.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| error.to_string());
        let found = read.and_then(|_| shapes::conversations(&text));
        let path = self.path.clone();
        match found {
            Ok(conversations) => {
                let of = move |one| (Place { path: path.clone(), line: None }, Ok(one));
                Box::new(conversations.into_iter().map(of))
            }
            Err(reason) => Box::new(std::iter::once((self.place(None), Err(reason)))),
        }
    }
}

/// The conversations of a JSONL file: one a line, or one of all lines that are messages.
struct Lines {
    path: PathBuf,
    reader: Option<Box<dyn BufRead + Send>>,
    line: usize,
    messages: Vec<Box<RawValue>>,
}

impl Lines {
    fn new(path: PathBuf, reader: Box<dyn BufRead + Send>) -> Self {
        Self { path, reader: Some(reader), line: 0, messages: Vec::new() }
    }

    fn here(&self) -> Place {
        Place { path: self.path.clone(), line: Some(self.line) }
    }

    /// Reads the next line that is not empty.
    fn next_line(&mut self) -> Option<Result<String, String>> {
        loop {
            let reader = self.reader.as_mut()?;
            let mut bytes = Vec::new();
            self.line += 1;
            match reader.take(MOST_BYTES).read_until(b'\n', &mut bytes) {
                Ok(0) => {
                    self.reader = None;
                    return None;
                }
                Ok(_) => {}
                Err(error) => {
                    self.reader = None;
                    return Some(Err(error.to_string()));
                }
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return Some(String::from_utf8(bytes).map_err(|_| "the line is not UTF-8".to_owned()));
        }
    }

    fn last(&mut self) -> Option<Found> {
        let messages = std::mem::take(&mut self.messages);
        let place = Place { path: self.path.clone(), line: None };
        (!messages.is_empty()).then(|| (place, Ok(Conversation::of_messages(messages))))
    }
}

impl Iterator for Lines {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        while let Some(line) = self.next_line() {
            match line.and_then(|line| shapes::line(&line)) {
                Ok(Line::Message(message)) => self.messages.push(message),
                Ok(Line::Conversation(conversation)) => {
                    return Some((self.here(), Ok(*conversation)));
                }
                Err(reason) => return Some((self.here(), Err(reason))),
            }
        }
        self.last()
    }
}
