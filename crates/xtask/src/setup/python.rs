//! Virtual environments of Python in the build folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt;
use crate::process::Run;
use crate::workspace;

const ADVICE: &str = "install Python 3 with its venv module (Debian and Ubuntu: `apt-get install python3-venv`)";

/// An environment with one package in it.
pub struct Environment {
    /// The folder below the build folder.
    folder: &'static str,
    /// The package's name on the index, and its pinned version.
    package: &'static str,
    version: &'static str,
    /// What a program imports of it.
    module: &'static str,
}

/// What the outside scorer imports.
pub const SCORER: Environment =
    Environment { folder: "score-venv", package: "bpe-openai", version: "0.1.4", module: "bpe_openai" };

/// What `tests/llm_server.py` imports: llama.cpp, prebuilt, with its HTTP server (MIT).
pub const LLM: Environment =
    Environment { folder: "llm-venv", package: "xllamacpp", version: "2026.10.11549", module: "xllamacpp" };

impl Environment {
    /// Returns the environment's Python. Makes the environment where it is missing or holds another version.
    ///
    /// # Errors
    ///
    /// Fails without Python 3 and its venv module, or when the package cannot be installed or imported.
    pub fn python(&self) -> Result<PathBuf> {
        let folder = workspace::target_dir()?.join(self.folder);
        let python = folder.join("bin").join("python");
        if self.is_ready(&python)? {
            return Ok(python);
        }
        println!("making a virtual environment with {} {}", self.package, self.version);
        make(&folder)?;
        let options = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
        let install = Run::new(&python, options)?.arg(format!("{}=={}", self.package, self.version));
        install.stdout().with_context(|| format!("cannot install {} from the package index", self.package))?;
        if !self.is_ready(&python)? {
            bail!("{} was installed, yet Python cannot import {}", self.package, self.module);
        }
        Ok(python)
    }

    fn is_ready(&self, python: &Path) -> Result<bool> {
        let check = format!(
            "import importlib.metadata, {}; assert importlib.metadata.version('{}') == '{}'",
            self.module, self.package, self.version
        );
        Ok(python.is_file() && Run::new(python, ["-c", &check])?.stdout().is_ok())
    }
}

fn make(folder: &Path) -> Result<()> {
    let venv = || Run::new("python3", ["-m", "venv", "--clear"])?.arg(folder).stdout();
    match venv() {
        Ok(_) => return Ok(()),
        Err(error) => eprintln!("{error:#}"),
    }
    apt::install("python3-venv", "Python 3 with its venv module", ADVICE)?;
    venv().map(drop).context("cannot make a virtual environment")
}
