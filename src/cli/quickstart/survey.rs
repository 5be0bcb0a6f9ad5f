//! The folder that the agent explores, walked within bounds.

use std::path::{Path, PathBuf};

/// Folders of what tools make or fetch.
pub const SKIPPED: [&str; 8] =
    ["target", "node_modules", "dist", "build", "vendor", "__pycache__", "venv", "site-packages"];
const MOST_FILES: usize = 4_000;
const MOST_DEPTH: usize = 10;
const MOST_BYTES: u64 = 1 << 20;
const TEXT_ENDS: [&str; 34] = [
    "rs", "py", "js", "ts", "tsx", "jsx", "go", "java", "kt", "c", "h", "cc", "cpp", "hpp", "cs", "rb", "php", "swift",
    "scala", "sh", "sql", "md", "txt", "toml", "yaml", "yml", "json", "html", "css", "ini", "cfg", "ex", "hs", "lua",
];

/// A text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Its path below the folder, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// The text files of a folder.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The folder.
    pub root: PathBuf,
    /// The files, in the order of their paths.
    pub files: Vec<TextFile>,
}

impl Survey {
    /// Walks a folder; hidden folders, links and files of locked versions are left out.
    ///
    /// # Errors
    ///
    /// Fails where the folder itself cannot be read; folders below it that cannot be read are left out.
    pub fn of(root: &Path) -> std::io::Result<Self> {
        std::fs::read_dir(root)?;
        let mut files = Vec::new();
        walk(root, "", 0, &mut files);
        Ok(Self { root: root.to_owned(), files })
    }

    /// Returns the files below a path, which may be a file, a folder, or `.`.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a TextFile> {
        let path = path.trim_end_matches('/');
        self.files.iter().filter(move |file| {
            path == "." || file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Returns the first folders on the ways to files, those with the most bytes first.
    pub fn folders(&self) -> Vec<String> {
        let mut sizes: Vec<(String, u64)> = Vec::new();
        for file in &self.files {
            let Some((folder, _)) = file.path.split_once('/') else { continue };
            match sizes.iter_mut().find(|(name, _)| name == folder) {
                Some((_, bytes)) => *bytes += file.bytes,
                None => sizes.push((folder.to_owned(), file.bytes)),
            }
        }
        sizes.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        sizes.into_iter().map(|(name, _)| name).collect()
    }

    /// Returns a file's lines; none of one that is no text.
    pub fn lines(&self, path: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.root.join(path)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn walk(root: &Path, below: &str, depth: usize, files: &mut Vec<TextFile>) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else { return };
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        if files.len() >= MOST_FILES || name.starts_with('.') {
            continue;
        }
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let Ok(about) = std::fs::symlink_metadata(root.join(&path)) else { continue };
        if about.is_dir() && depth < MOST_DEPTH && !SKIPPED.contains(&name.as_str()) {
            walk(root, &path, depth + 1, files);
        } else if about.is_file() && about.len() <= MOST_BYTES && is_text(&name) {
            files.push(TextFile { path, bytes: about.len() });
        }
    }
}

fn is_text(name: &str) -> bool {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    TEXT_ENDS.contains(&end) && !name.contains("-lock.") && !name.contains(".lock")
}
