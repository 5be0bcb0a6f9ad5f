//! What `recapd model pull` can be asked for.

use std::path::{Path, PathBuf};

use super::ModelsError;
use super::catalogue::{CATALOGUE, Known, known};

/// What is pulled.
#[derive(Debug)]
pub enum Wanted {
    /// A model of the catalogue.
    Known(&'static Known),
    /// A repository of the hub, or one of its files.
    Hub(HubName),
    /// A file or folder of this machine.
    Path(PathBuf),
}

/// `owner/repo[/file.gguf][@revision]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    /// Who owns the repository.
    pub owner: String,
    /// The repository.
    pub repo: String,
    /// One of its files, perhaps in a folder.
    pub file: Option<String>,
    /// A branch, tag or commit; `main` where it is left out.
    pub revision: Option<String>,
}

impl Wanted {
    /// Reads what was asked for. A name of the catalogue goes before a file of that name.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Unknown`], [`ModelsError::Name`].
    pub fn read(asked: &str) -> Result<Self, ModelsError> {
        if let Some(name) = asked.strip_prefix("hf:") {
            return HubName::read(name).map(Self::Hub);
        }
        if let Some(known) = known(asked) {
            return Ok(Self::Known(known));
        }
        if Path::new(asked).exists() {
            return Ok(Self::Path(PathBuf::from(asked)));
        }
        let known = CATALOGUE.iter().map(|known| known.name).collect();
        Err(ModelsError::Unknown { asked: asked.to_owned(), known })
    }
}

impl HubName {
    /// Reads `owner/repo[/file.gguf][@revision]`.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Name`]
    pub fn read(name: &str) -> Result<Self, ModelsError> {
        let wrong = |why| ModelsError::Name { name: format!("hf:{name}"), why };
        let (path, revision) = match name.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (name, None),
        };
        let parts: Vec<&str> =
            path.split('/').chain(revision.iter().flat_map(|revision| revision.split('/'))).collect();
        if !parts.iter().all(|part| is_part(part)) {
            return Err(wrong("its parts are letters, digits, `.`, `_` and `-`"));
        }
        let mut parts = path.splitn(3, '/');
        let (Some(owner), Some(repo), file) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("it is hf:owner/repo[/file.gguf][@revision]"));
        };
        let is_gguf = |file: &str| Path::new(file).extension().is_some_and(|extension| extension == "gguf");
        if file.is_some_and(|file| !is_gguf(file)) {
            return Err(wrong("a single file must end in .gguf; leave the file out for a folder model"));
        }
        Ok(Self {
            owner: owner.to_owned(),
            repo: repo.to_owned(),
            file: file.map(str::to_owned),
            revision: revision.map(str::to_owned),
        })
    }
}

/// Tells whether a text can be one segment of an address and of a path.
fn is_part(text: &str) -> bool {
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-');
    !text.is_empty() && !text.starts_with('.') && text.chars().all(allowed)
}

/// Checks a name under which a model is put into the folder of models.
///
/// # Errors
///
/// [`ModelsError::Name`]
pub(super) fn check(name: &str) -> Result<(), ModelsError> {
    let why = "it is letters, digits, `.`, `_` and `-`, and begins with no `.`";
    if is_part(name) { Ok(()) } else { Err(ModelsError::Name { name: name.to_owned(), why }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(name: &str) -> Option<(String, String, Option<String>, Option<String>)> {
        HubName::read(name).ok().map(|name| (name.owner, name.repo, name.file, name.revision))
    }

    #[test]
    fn hub_names_have_two_to_four_parts() {
        let parts = |o: &str, r: &str, f: Option<&str>, v: Option<&str>| {
            Some((o.to_owned(), r.to_owned(), f.map(str::to_owned), v.map(str::to_owned)))
        };
        assert_eq!(hub("a/b"), parts("a", "b", None, None));
        assert_eq!(hub("a/b@v1.0"), parts("a", "b", None, Some("v1.0")));
        assert_eq!(hub("a/b-GGUF/q4/c.gguf@refs/pr/2"), parts("a", "b-GGUF", Some("q4/c.gguf"), Some("refs/pr/2")));
        for wrong in
            ["", "a", "a/", "a//b", "a/../c.gguf", "a/b/c.bin", "a/b@", "a/b c", "a/b/c.gguf@x?y", "a/b/../c.gguf"]
        {
            assert_eq!(hub(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_catalogue_goes_before_files_and_what_is_neither_is_answered_with_its_names() {
        assert!(matches!(Wanted::read("minilm"), Ok(Wanted::Known(known)) if known.name == "minilm"));
        assert!(matches!(Wanted::read("Cargo.toml"), Ok(Wanted::Path(_))));
        assert!(matches!(Wanted::read("hf:a/b"), Ok(Wanted::Hub(_))));
        let error = Wanted::read("gpt-7").unwrap_err().to_string();
        assert!(error.contains("smollm2-135m") && error.contains("hf:owner"), "{error}");
    }
}
