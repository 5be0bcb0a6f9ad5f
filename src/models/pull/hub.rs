//! A repository of the Hugging Face hub, by its HTTP interface: the list of files with their sizes and checksums, and the
//! files of one commit. <https://huggingface.co/docs/hub/api>

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use indicatif::ProgressBar;
use reqwest::header::RANGE;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::local::FOLDER_FILES;
use super::{Part, Plan, PullOptions};
use crate::models::{HubName, ModelsError, name};
use crate::tls;

/// Longest silence of the hub.
const SILENCE: Duration = Duration::from_mins(1);
/// Where unfinished downloads wait for the next try.
const UNFINISHED: &str = ".unfinished";

/// A repository at one commit.
pub(super) struct Repository {
    name: HubName,
    hub: String,
    token: Option<SecretString>,
    client: Client,
    listing: Listing,
}

/// What the hub tells of a repository.
#[derive(Deserialize)]
struct Listing {
    /// The commit.
    sha: String,
    siblings: Vec<Sibling>,
    #[serde(rename = "cardData")]
    card: Option<Card>,
}

#[derive(Deserialize)]
struct Sibling {
    #[serde(rename = "rfilename")]
    path: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

#[derive(Deserialize)]
struct Card {
    license: Option<String>,
}

impl Repository {
    /// Asks the hub what the repository holds.
    pub(super) async fn open(name: HubName, options: &PullOptions) -> Result<Self, ModelsError> {
        let hub = options.hub.trim_end_matches('/').to_owned();
        let failed = |error: reqwest::Error| ModelsError::Hub { hub: hub.clone(), why: chain(&error) };
        let client = tls::client_builder(&hub).read_timeout(SILENCE).build().map_err(failed)?;
        let revision = name.revision.as_deref().unwrap_or("main").replace('/', "%2F");
        let url = format!("{hub}/api/models/{}/{}/revision/{revision}?blobs=true", name.owner, name.repo);
        let token = options.hub_token.clone();
        let answer = send(authorized(client.get(url), token.as_ref()), &hub).await?;
        let listing = answer.json().await.map_err(failed)?;
        Ok(Self { name, hub, token, client, listing })
    }

    /// Chooses the files: the one that was named, the only GGUF file, or those of a folder model.
    pub(super) fn plan(&self, renamed: Option<&str>) -> Result<Plan, ModelsError> {
        let part = |path: String, sibling: &Sibling| Part {
            path,
            size: sibling.size,
            sha256: sibling.lfs.as_ref().map(|lfs| lfs.sha256.to_ascii_lowercase()),
        };
        let (name, parts) = if let Some(file) = self.gguf()? {
            let own = Path::new(&file.path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let name = renamed.map_or(own, str::to_owned);
            let place = format!("{name}.gguf");
            (name, vec![part(place, file)])
        } else {
            let name = renamed.unwrap_or(&self.name.repo).to_owned();
            let files = FOLDER_FILES.iter().filter_map(|file| self.sibling(file));
            let parts = files.map(|file| part(format!("{name}/{}", file.path), file)).collect::<Vec<_>>();
            (name, parts)
        };
        if parts.is_empty() {
            return Err(self.refused("the repository holds neither a GGUF file nor a folder model"));
        }
        name::check(&name)?;
        Ok(Plan {
            name,
            source: format!("hf:{}/{}", self.name.owner, self.name.repo),
            revision: Some(self.listing.sha.clone()),
            licence: self.listing.card.as_ref().and_then(|card| card.license.clone()),
            parts,
        })
    }

    fn sibling(&self, path: &str) -> Option<&Sibling> {
        self.listing.siblings.iter().find(|sibling| sibling.path == path)
    }

    fn gguf(&self) -> Result<Option<&Sibling>, ModelsError> {
        if let Some(file) = &self.name.file {
            let found = self.sibling(file);
            return found.map(Some).ok_or_else(|| self.refused(&format!("the repository has no file {file}")));
        }
        let is_gguf = |file: &&Sibling| Path::new(&file.path).extension().is_some_and(|extension| extension == "gguf");
        let files: Vec<&Sibling> = self.listing.siblings.iter().filter(is_gguf).collect();
        match files.as_slice() {
            [] => Ok(None),
            [file] => Ok(Some(file)),
            many => {
                let names: Vec<&str> = many.iter().map(|file| file.path.as_str()).collect();
                Err(self.refused(&format!("name one of its files: {}", names.join(", "))))
            }
        }
    }

    /// Downloads the files; each goes on where an earlier try ended.
    pub(super) async fn fetch(
        &self,
        plan: &Plan,
        dir: &Path,
        staging: &Path,
        bar: &ProgressBar,
    ) -> Result<(), ModelsError> {
        let waiting = dir.join(UNFINISHED);
        std::fs::create_dir_all(&waiting).map_err(ModelsError::at(&waiting))?;
        for part in &plan.parts {
            let file = self.remote_path(part);
            bar.set_message(file.clone());
            let unfinished = waiting.join(format!("{}-{}", self.listing.sha, part.path.replace('/', "-")));
            self.download(&file, &unfinished, bar).await?;
            let place = staging.join(&part.path);
            std::fs::create_dir_all(place.parent().unwrap_or(staging)).map_err(ModelsError::at(&place))?;
            std::fs::rename(&unfinished, &place).map_err(ModelsError::at(&place))?;
        }
        // Other unfinished downloads may still wait in it.
        if std::fs::remove_dir(&waiting).is_err() {
            tracing::debug!(folder = %waiting.display(), "unfinished downloads stay");
        }
        Ok(())
    }

    fn remote_path(&self, part: &Part) -> String {
        match part.path.split_once('/') {
            Some((_, file)) => file.to_owned(),
            None => match &self.name.file {
                Some(file) => file.clone(),
                None => self.gguf().ok().flatten().map_or_else(|| part.path.clone(), |file| file.path.clone()),
            },
        }
    }

    async fn download(&self, file: &str, to: &Path, bar: &ProgressBar) -> Result<(), ModelsError> {
        let begun = to.metadata().map_or(0, |about| about.len());
        let url = format!("{}/{}/{}/resolve/{}/{file}", self.hub, self.name.owner, self.name.repo, self.listing.sha);
        let request = authorized(self.client.get(url), self.token.as_ref());
        let request = if begun > 0 { request.header(RANGE, format!("bytes={begun}-")) } else { request };
        let sent = request.send().await.map_err(|error| self.refused(&chain(&error)))?;
        // All of it is there: nothing was moved after the last byte came.
        if begun > 0 && sent.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            bar.inc(begun);
            return Ok(());
        }
        let answer = checked(sent, &self.hub)?;
        let goes_on = begun > 0 && answer.status() == StatusCode::PARTIAL_CONTENT;
        let mut options = std::fs::OpenOptions::new();
        let mut target = options.create(true).write(true).append(goes_on).truncate(!goes_on).open(to);
        let target = target.as_mut().map_err(|error| ModelsError::Io {
            path: to.to_owned(),
            source: std::io::Error::new(error.kind(), error.to_string()),
        })?;
        bar.inc(if goes_on { begun } else { 0 });
        let mut bytes = answer.bytes_stream();
        while let Some(block) = bytes.next().await {
            let block = block.map_err(|error| self.refused(&chain(&error)))?;
            target.write_all(&block).map_err(ModelsError::at(to))?;
            bar.inc(block.len() as u64);
        }
        target.sync_all().map_err(ModelsError::at(to))
    }

    fn refused(&self, why: &str) -> ModelsError {
        ModelsError::Hub { hub: self.hub.clone(), why: why.to_owned() }
    }
}

fn authorized(request: RequestBuilder, token: Option<&SecretString>) -> RequestBuilder {
    match token {
        Some(token) => request.bearer_auth(token.expose_secret()),
        None => request,
    }
}

async fn send(request: RequestBuilder, hub: &str) -> Result<Response, ModelsError> {
    let sent = request.send().await;
    let answer = sent.map_err(|error| ModelsError::Hub { hub: hub.to_owned(), why: chain(&error) })?;
    checked(answer, hub)
}

fn checked(answer: Response, hub: &str) -> Result<Response, ModelsError> {
    let why = match answer.status() {
        status if status.is_success() => return Ok(answer),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            "no such repository, revision or file, or one that asks for a token (HF_TOKEN)".to_owned()
        }
        status => format!("it answered {status}"),
    };
    Err(ModelsError::Hub { hub: hub.to_owned(), why })
}

/// Returns an error with its causes, without addresses: those of downloads are signed.
fn chain(error: &reqwest::Error) -> String {
    let what = if error.is_connect() {
        "it cannot be reached"
    } else if error.is_timeout() {
        "it is silent"
    } else {
        "the connection or its answer broke"
    };
    let mut said = what.to_owned();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
}
