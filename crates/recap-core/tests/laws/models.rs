//! What compressors with models would make for a session, without a model: words of the sources themselves.

use recap_core::context::{Compression, Condensed, ContextRequest, Maker, Scored, Session, Told};
use recap_core::tokens::Counter;

/// Tokens of turns above which they are told, and of results above which they are shortened.
pub const LEAST: u32 = 60;
/// Tokens that the model would read at once.
const MOST: u32 = 400;

/// The guideline that steers models.
pub const GUIDELINE: &str = "test/history@b3:11";
/// What scores lines.
pub const SCORER: &str = "extract:test";

/// Returns who shortens results.
pub fn maker() -> Maker {
    Maker { compressor: "llm:test".to_owned(), guideline: Some(GUIDELINE.to_owned()), ..Maker::default() }
}

/// Returns who tells turns from this one on: two models by turns.
pub fn teller(first: u32) -> Maker {
    let name = if first.is_multiple_of(2) { "llm:even" } else { "llm:odd" };
    Maker { compressor: name.to_owned(), ..maker() }
}

/// Returns the turns that models told in a section, each range with its first and last.
pub fn told_in(section: &str) -> Vec<[u32; 2]> {
    let range = |line: &str| {
        let (first, last) = line.strip_prefix("Notes on turns ")?.strip_suffix(':')?.split_once('–')?;
        Some([first.parse().ok()?, last.parse().ok()?])
    };
    section.lines().filter_map(range).collect()
}

/// Makes everything that there is to make.
pub fn prepare(session: &mut Session, request: &ContextRequest, counter: &Counter) {
    let line = request.line_key();
    while let Some(work) = session.history_work(&line, LEAST, MOST) {
        let text = first_words(&work.source, work.source_tokens);
        let tokens = counter.count(&text);
        let (turns, agent_kind) = (work.turns, work.agent_kind);
        let told = Told { turns, agent_kind, text: text.into(), tokens, by: teller(turns[0]) };
        assert!(session.take(Compression::Told(told)), "the recap of {turns:?} is refused");
    }
    while let Some(work) = session.observation_work(LEAST, MOST) {
        let text = first_words(&work.source, work.source_tokens);
        let tokens = counter.count(&text);
        let made = Condensed { original: work.original, text: text.into(), tokens, by: maker() };
        assert!(session.take(Compression::Condensed(made)));
    }
    let scorer = Maker { compressor: SCORER.to_owned(), ..Maker::default() };
    while let Some(work) = session.score_work(&line) {
        let score = |text: &str| f32::from(u8::try_from(text.len() % 11).unwrap()) / 10.0;
        let scores = work.lines.iter().map(|(number, text)| (*number, score(text))).collect();
        let scored = Scored { turn: work.turn, agent_kind: work.agent_kind, scores, by: scorer.clone() };
        assert!(session.take(Compression::Scored(scored)), "the scores of turn {} are refused", work.turn);
    }
}

/// The first words of a text, a third of its tokens by thirds of bytes.
fn first_words(text: &str, tokens: u32) -> String {
    text.get(..text.floor_char_boundary(tokens as usize)).unwrap().replace('\n', " ")
}
