//! How a request is put to the model: its chat template.

use std::fmt::Display;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, context};

use super::gguf::Gguf;
use super::vocabulary::Vocabulary;
use crate::ModelError;

/// The template of `ChatML`, for files that have the tokens and no template.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content \
                      + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const CHATML_TOKENS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];
/// Stand for the two texts while the template is rendered: noncharacters, which no text has a use for.
const SYSTEM: &str = "\u{10FFFE}s\u{10FFFF}";
const USER: &str = "\u{10FFFE}u\u{10FFFF}";

/// What is put to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// The instructions; may be empty.
    pub system: &'a str,
    /// The request.
    pub user: &'a str,
}

/// A chat template rendered around two gaps. Texts are filled in as tokens, so that a text that spells a control token cannot
/// end its turn.
pub(super) struct Template {
    with_system: Vec<Piece>,
    without_system: Vec<Piece>,
}

enum Piece {
    /// Tokens of the template itself.
    Frame(Vec<u32>),
    System,
    User,
}

impl Template {
    /// Reads the file's template, or takes `ChatML` if there is none and the vocabulary has its tokens.
    ///
    /// # Errors
    /// [`ModelError::File`] if there is no template, or if it cannot be rendered with a system and a user text.
    pub(super) fn read(file: &Gguf, vocabulary: &mut Vocabulary) -> Result<Self, ModelError> {
        let source = match file.text("tokenizer.chat_template")? {
            Some(source) => source,
            None if CHATML_TOKENS.iter().all(|name| vocabulary.knows(name)) => CHATML,
            None => return Err(file.fault("it has no chat template")),
        };
        let fault = |error: Error| file.fault(format!("its chat template fails: {error:#}"));
        let with_system = render(source, vocabulary, &[("system", SYSTEM), ("user", USER)]).map_err(fault)?;
        let without_system = render(source, vocabulary, &[("user", USER)]).map_err(fault)?;
        if !with_system.contains(SYSTEM) || !with_system.contains(USER) || !without_system.contains(USER) {
            return Err(file.fault("its chat template drops a message"));
        }
        Ok(Self {
            with_system: pieces(&with_system, vocabulary)?,
            without_system: pieces(&without_system, vocabulary)?,
        })
    }

    /// Returns the tokens of a prompt, up to where the reply begins.
    pub(super) fn tokens(&self, prompt: &Prompt<'_>, vocabulary: &mut Vocabulary) -> Result<Vec<u32>, ModelError> {
        let pieces = if prompt.system.is_empty() { &self.without_system } else { &self.with_system };
        let mut tokens = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Frame(frame) => tokens.extend_from_slice(frame),
                Piece::System => tokens.extend_from_slice(vocabulary.encode(prompt.system)?.get_ids()),
                Piece::User => tokens.extend_from_slice(vocabulary.encode(prompt.user)?.get_ids()),
            }
        }
        Ok(tokens)
    }
}

/// Renders a template as the `transformers` library does: blocks trimmed, Python's string methods, `raise_exception`.
fn render(source: &str, vocabulary: &Vocabulary, messages: &[(&str, &str)]) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |why: String| -> Result<String, Error> { Err(refused(why)) });
    let (begin, end) = vocabulary.names();
    let messages: Vec<_> = messages.iter().map(|&(role, content)| context! { role, content }).collect();
    environment
        .render_str(source, context! { messages, add_generation_prompt => true, bos_token => begin, eos_token => end })
}

fn refused(why: impl Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.to_string())
}

/// Cuts a rendered template at its gaps.
fn pieces(rendered: &str, vocabulary: &mut Vocabulary) -> Result<Vec<Piece>, ModelError> {
    let mut pieces = Vec::new();
    let mut rest = rendered;
    while !rest.is_empty() {
        let next = [(SYSTEM, Piece::System), (USER, Piece::User)]
            .into_iter()
            .filter_map(|(gap, piece)| rest.split_once(gap).map(|(before, after)| (before, piece, after)))
            .min_by_key(|(before, ..)| before.len());
        let (before, gap, after) = next.map_or((rest, None, ""), |(before, piece, after)| (before, Some(piece), after));
        if !before.is_empty() {
            pieces.push(Piece::Frame(vocabulary.encode_control(before)?));
        }
        pieces.extend(gap);
        rest = after;
    }
    Ok(pieces)
}
