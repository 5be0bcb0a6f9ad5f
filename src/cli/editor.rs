//! A text in the user's editor, until it can be saved or is given up.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// A text to edit.
pub struct Draft<'a> {
    /// The editor's command.
    pub editor: &'a str,
    /// How the file's name begins.
    pub prefix: &'a str,
    /// The text to begin with.
    pub before: &'a str,
}

impl Draft<'_> {
    /// Opens the editor, and again as long as `save` says what is wrong with the text and the user goes on. Returns what
    /// was saved; `None` where nothing was changed.
    ///
    /// # Errors
    ///
    /// Says why nothing is saved, and where the text is.
    pub async fn edit<T>(
        &self,
        save: impl AsyncFn(&str) -> anyhow::Result<T>,
        is_about_text: impl Fn(&anyhow::Error) -> bool,
    ) -> anyhow::Result<Option<T>> {
        let mut draft = tempfile::Builder::new().prefix(self.prefix).suffix(".md").tempfile()?;
        draft.write_all(self.before.as_bytes())?;
        draft.flush()?;
        loop {
            self.open(draft.path()).await?;
            let text = read(draft.path())?;
            if text == self.before {
                super::output::note("nothing was changed, nothing is saved");
                return Ok(None);
            }
            match save(&text).await {
                Ok(saved) => return Ok(Some(saved)),
                Err(fault) if is_about_text(&fault) && again(&fault)? => {}
                Err(fault) => return Err(kept(draft, fault)),
            }
        }
    }

    async fn open(&self, path: &Path) -> anyhow::Result<()> {
        let mut words = self.editor.split_whitespace();
        let program = words.next().unwrap_or("vi");
        let status = tokio::process::Command::new(program).args(words).arg(path).status().await;
        let status = status.with_context(|| format!("the editor `{}` cannot be run", self.editor))?;
        anyhow::ensure!(status.success(), "the editor `{}` ended badly ({status})", self.editor);
        Ok(())
    }
}

/// Tells what is wrong and asks whether to open the editor again; nobody is asked where nobody can answer.
fn again(fault: &anyhow::Error) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    super::output::note(&format!("{fault:#}\nopen the editor again? [Y/n]"));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(!answer.trim_start().starts_with(['n', 'N']))
}

/// Keeps the text of who gives up.
fn kept(draft: NamedTempFile, fault: anyhow::Error) -> anyhow::Error {
    match draft.keep() {
        Ok((_, path)) => fault.context(format!("nothing is saved; the text is in {}", path.display())),
        Err(_) => fault,
    }
}

/// Reads a file's text.
///
/// # Errors
///
/// Names the file that cannot be read.
pub fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
