//! Questions asked and answers scored, within a limit of tokens and dollars.

use std::fmt::{Display, Formatter, Result};

use indicatif::ProgressBar;
use recap_core::tokens::Counter;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::curve::Point;
use super::page::{Page, Planted};
use crate::llm::{Attempt, Backend, LlmError, Prompt, Purpose, Schema};

/// Enough for a code in JSON, with room for spaces.
const REPLY_TOKENS: u32 = 48;
/// Tokens of instructions and question, at most.
const AROUND_TOKENS: u64 = 96;
const SYSTEM: &str = "Answer from the notes alone, with JSON and nothing else.";

/// What is asked.
pub(super) struct Round<'a> {
    pub backend: &'a Backend,
    pub counter: &'a Counter,
    pub depths: u32,
    pub repeats: u32,
    pub seed: u64,
}

/// When to stop.
pub(super) struct Limits {
    pub tokens: u64,
    pub cost_usd: Option<f64>,
}

/// What was spent, over every attempt at every question.
#[derive(Debug, Default, Serialize)]
pub(super) struct Account {
    /// Attempts.
    pub attempts: u64,
    /// Tokens read, those from a cache included.
    pub prompt_tokens: u64,
    /// Tokens from a cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub reply_tokens: u64,
    /// Millionths of a US dollar, of attempts with a known price.
    pub cost_usd_micros: i64,
    /// Attempts whose price is not known.
    pub unpriced: u64,
}

/// How a question ended.
enum Ended {
    Answered { found: bool, prompt_tokens: u64 },
    Stopped(String),
}

impl Round<'_> {
    /// Returns how many questions a length has.
    pub(super) fn questions(&self) -> u64 {
        u64::from(self.depths) * u64::from(self.repeats)
    }

    /// Asks at each length, the shortest first. A length that was not asked to its end is left out, with the reason.
    ///
    /// # Errors
    ///
    /// Fails where not even the first question can be asked.
    pub(super) async fn run(
        &self,
        lengths: &[u32],
        limits: &Limits,
        account: &mut Account,
    ) -> anyhow::Result<(Vec<Point>, Option<String>)> {
        let bar = ProgressBar::new(self.questions() * lengths.len() as u64);
        let mut points = Vec::new();
        for &length in lengths {
            match self.point(length, limits, account, &bar).await {
                Ok(point) => points.push(point),
                Err(why) if account.attempts == 0 => anyhow::bail!("{}: {why}", self.backend.model()),
                Err(why) => {
                    bar.finish_and_clear();
                    return Ok((points, Some(format!("at {length}: {why}"))));
                }
            }
        }
        bar.finish_and_clear();
        Ok((points, None))
    }

    async fn point(
        &self,
        length: u32,
        limits: &Limits,
        account: &mut Account,
        bar: &ProgressBar,
    ) -> std::result::Result<Point, String> {
        let (mut asked, mut found_all, mut tokens) = (0, 0, 0);
        for repeat in 0..self.repeats {
            let seed = self.seed.wrapping_add(u64::from(repeat).wrapping_mul(1_000_003));
            let page = Page::write(length, self.depths, seed, self.counter.as_ref());
            for planted in &page.planted {
                limits.allow(length, account)?;
                match self.ask(&page, planted, account).await {
                    Ended::Stopped(why) => return Err(why),
                    Ended::Answered { found, prompt_tokens } => {
                        asked += 1;
                        found_all += u32::from(found);
                        tokens += prompt_tokens;
                    }
                }
                bar.inc(1);
            }
        }
        Ok(Point::new(length, asked, found_all, tokens / u64::from(asked.max(1))))
    }

    async fn ask(&self, page: &Page, planted: &Planted, account: &mut Account) -> Ended {
        let answer = self.backend.complete(&prompt(page, planted), &CancellationToken::new()).await;
        let prompt_tokens = answer.attempts.last().map_or(0, |attempt| attempt.prompt_tokens);
        answer.attempts.iter().for_each(|attempt| account.add(attempt));
        match answer.result {
            Ok(reply) => Ended::Answered { found: is_code(&reply.text, &planted.code), prompt_tokens },
            // The model answered, and the answer is none.
            Err(LlmError::Cut | LlmError::Empty | LlmError::Refused) => Ended::Answered { found: false, prompt_tokens },
            Err(error) => Ended::Stopped(error.to_string()),
        }
    }
}

/// The text goes first: its tokens are then read once for all of its questions where a cache keeps them.
fn prompt(page: &Page, planted: &Planted) -> Prompt {
    let ask = format!("What is the access code of the {}? Reply as {{\"code\": \"…\"}}.", planted.key);
    let schema = json!({ "type": "object", "properties": { "code": { "type": "string" } }, "required": ["code"],
                         "additionalProperties": false });
    Prompt {
        purpose: Purpose::Probe,
        system: SYSTEM.to_owned(),
        user: format!("Notes:\n\n{}\n\n{ask}", page.text),
        schema: Some(Schema { name: "access_code".to_owned(), json: schema }),
        max_tokens: REPLY_TOKENS,
        temperature: 0.0,
        within: None,
    }
}

/// Tells whether a reply is exactly the code: in JSON, as text or number, or alone.
fn is_code(reply: &str, code: &str) -> bool {
    let said = match serde_json::from_str::<Value>(reply) {
        Ok(Value::Object(object)) => match object.get("code") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return false,
        },
        Ok(Value::Number(number)) => number.to_string(),
        _ => reply.to_owned(),
    };
    said.trim() == code
}

impl Limits {
    /// Refuses a question that could go over a limit.
    fn allow(&self, length: u32, account: &Account) -> std::result::Result<(), String> {
        let next = u64::from(length) + AROUND_TOKENS + u64::from(REPLY_TOKENS);
        if account.prompt_tokens + account.reply_tokens + next > self.tokens {
            return Err(format!("--max-tokens {}", self.tokens));
        }
        #[expect(clippy::cast_precision_loss, reason = "millionths of sums that are spent on a probe")]
        let spent = account.cost_usd_micros as f64 / 1e6;
        match self.cost_usd {
            Some(most) if spent >= most => Err(format!("--max-cost-usd {most}")),
            _ => Ok(()),
        }
    }
}

impl Account {
    fn add(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        self.prompt_tokens += attempt.prompt_tokens;
        self.cached_tokens += attempt.cached_tokens;
        self.reply_tokens += attempt.reply_tokens;
        self.cost_usd_micros += attempt.cost_usd_micros.unwrap_or(0);
        self.unpriced += u64::from(attempt.cost_usd_micros.is_none());
    }
}

impl Display for Account {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Self { attempts, prompt_tokens, cached_tokens, reply_tokens, cost_usd_micros, unpriced } = self;
        #[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
        let usd = *cost_usd_micros as f64 / 1e6;
        write!(
            out,
            "{attempts} attempts, {prompt_tokens} tokens read ({cached_tokens} from a cache), {reply_tokens} written, "
        )?;
        if *unpriced > 0 { write!(out, "price unknown") } else { write!(out, "{usd:.4} USD") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_code_counts() {
        for right in [r#"{"code": "123456"}"#, r#"{"code":123456}"#, r#"{"code":" 123456 "}"#, "123456", " 123456\n"] {
            assert!(is_code(right, "123456"), "{right}");
        }
        for wrong in
            [r#"{"code":"1234567"}"#, r#"{"key":"123456"}"#, "The code is 123456.", "", "[123456]", r#"{"code":null}"#]
        {
            assert!(!is_code(wrong, "123456"), "{wrong}");
        }
    }

    #[test]
    fn limits_are_looked_at_before_a_question() {
        let mut account = Account { prompt_tokens: 900, ..Account::default() };
        let limits = Limits { tokens: 2000, cost_usd: Some(0.5) };
        assert_eq!(limits.allow(900, &account), Ok(()));
        assert!(limits.allow(1000, &account).unwrap_err().contains("--max-tokens"));
        account.cost_usd_micros = 500_000;
        assert!(limits.allow(1, &account).unwrap_err().contains("--max-cost-usd"));
    }
}
