//! Measures how fast a chat model reads and writes: `chat_speed MODEL.gguf [PROMPT_TOKENS NEW_TOKENS]`.
//! Threads are those of `CANDLE_NUM_THREADS` and `RAYON_NUM_THREADS`.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use recap_model::causal::{ChatModel, LoadOptions, bench};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which GGUF file?")?;
    let prompt_tokens = arguments.next().map_or(Ok(512), |count| count.parse())?;
    let new_tokens = arguments.next().map_or(Ok(32), |count| count.parse())?;
    let mut model = ChatModel::load(Path::new(&path), &LoadOptions::default())?;
    let report = bench(&mut model, prompt_tokens, new_tokens)?;
    writeln!(std::io::stdout(), "prompt {:.1} tok/s, generation {:.1} tok/s", report.prompt_tok_s, report.gen_tok_s)?;
    Ok(())
}
