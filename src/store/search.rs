//! Finding originals by their words. What recapd itself wrote is never found (law 10).

use std::collections::{HashMap, HashSet};

use recap_core::trajectory::OriginalHash;
use regex::Regex;

use super::Store;
use super::dialect::{self, where_words_match};
use super::engine::{Conn, Row};
use super::error::StoreError;
use super::originals::{read_hash, read_text};
use super::value::values;
use super::words::{distinct_words, first_match};

/// The most words of a query that count.
const MAX_QUERY_WORDS: usize = 64;
/// Rows that are held against a regular expression at a time.
const SCAN_PAGE: usize = 128;
/// The most rows that one page of results holds against a regular expression.
const MAX_SCANNED: usize = 4096;
/// The newest messages of a trajectory that are ranked for recall.
const RECALL_CANDIDATES: usize = 512;
/// Bytes of a snippet before and after the match's start.
const SNIPPET: (usize, usize) = (80, 160);

/// What to look for. Without words and without a regular expression nothing is found.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// Words that the text must all hold, in any order and case; everything but letters and digits separates words.
    pub query: String,
    /// Only in this trajectory.
    pub trajectory: Option<String>,
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// Only in this agent's trajectories.
    pub agent: Option<String>,
    /// The text must match this too.
    pub regex: Option<Regex>,
    /// The most hits of a page.
    pub limit: usize,
    /// Where the page starts.
    pub cursor: Option<String>,
}

/// A page of hits, newest originals first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hits {
    /// The hits. May be fewer than the limit, even none, although more follow.
    pub hits: Vec<Hit>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// An original that was found, in one message that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The trajectory's id.
    pub trajectory: String,
    /// The message's number.
    pub n: u64,
    /// The original's address.
    pub hash: OriginalHash,
    /// The text around the first match.
    pub snippet: String,
}

/// A message that is worth recalling.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// The message's number.
    pub n: u64,
    /// The address of its original that was found.
    pub hash: OriginalHash,
    /// The sum of its words' rarity among the candidates; greater is better.
    pub score: f64,
}

macro_rules! search_start {
    () => {
        "SELECT o.id, m.trajectory_id, m.n, m.ordinal, o.hash, o.text FROM originals o \
         JOIN message_originals m ON m.hash = o.hash JOIN trajectories t ON t.id = m.trajectory_id \
         JOIN messages g ON g.trajectory_id = m.trajectory_id AND g.n = m.n \
         WHERE g.origin <> 'recapd' AND "
    };
}

macro_rules! search_page {
    () => {
        " AND ($2 IS NULL OR m.trajectory_id = $2) AND ($3 IS NULL OR t.namespace = $3) \
         AND ($4 IS NULL OR t.agent = $4) \
         AND ($5 IS NULL OR o.id < $5 OR (o.id = $5 AND (m.trajectory_id, m.n, m.ordinal) > ($6, $7, $8))) \
         ORDER BY o.id DESC, m.trajectory_id, m.n, m.ordinal LIMIT $9"
    };
}

impl Store {
    /// Returns a page of the originals that hold all words of the query.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn search(&self, request: &SearchRequest) -> Result<Hits, StoreError> {
        let words = query_words(&request.query);
        let mut page = Hits::default();
        if request.limit == 0 || (words.is_empty() && request.regex.is_none()) {
            return Ok(page);
        }
        let mut after = request.cursor.as_deref().map(Place::parse).transpose()?;
        let page_rows = if request.regex.is_some() {
            SCAN_PAGE
        } else {
            request.limit + 1
        };
        let mut scanned = 0;
        let mut conn = self.snapshot().await?;
        while scanned < MAX_SCANNED {
            let rows = scan(&mut conn, request, &words, after.as_ref(), page_rows).await?;
            for row in &rows {
                if page.hits.len() == request.limit {
                    page.next_cursor = after.map(|place| place.to_string());
                    conn.rollback().await?;
                    return Ok(page);
                }
                page.hits.extend(read_hit(row, request, &words)?);
                after = Some(Place::of(row)?);
            }
            scanned += rows.len();
            if rows.len() < page_rows {
                conn.rollback().await?;
                return Ok(page);
            }
        }
        page.next_cursor = after.map(|place| place.to_string());
        conn.rollback().await?;
        Ok(page)
    }

    /// Returns up to `limit` messages before `before` that share words with a text, best first, each once.
    ///
    /// Words weigh by their rarity among the newest 512 messages that hold any of the text's first 64 words.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn search_trajectory(
        &self,
        trajectory: &str,
        text: &str,
        before: u64,
        limit: usize,
    ) -> Result<Vec<Recalled>, StoreError> {
        let words = query_words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = self.reader().await?;
        let sql = where_words_match!(
            &conn,
            search_start!(),
            " AND m.trajectory_id = $2 AND m.n < $3 ORDER BY m.n DESC, m.ordinal LIMIT $4"
        );
        let query = dialect::any_word(conn.engine(), &words);
        let rows = conn
            .rows(sql, values![query, trajectory, before, RECALL_CANDIDATES])
            .await?;
        let mut ranked = rank(&rows, &words)?;
        ranked.truncate(limit);
        Ok(ranked)
    }
}

async fn scan(
    conn: &mut Conn,
    request: &SearchRequest,
    words: &[String],
    after: Option<&Place>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let (sql, query) = if words.is_empty() {
        (concat!(search_start!(), "$1 IS NULL", search_page!()), None)
    } else {
        let sql = where_words_match!(conn, search_start!(), search_page!());
        (sql, Some(dialect::all_words(conn.engine(), words)))
    };
    let bound = values![
        query,
        request.trajectory.as_deref(),
        request.namespace.as_deref(),
        request.agent.as_deref(),
        after.map(|place| place.original),
        after.map(|place| place.trajectory.as_str()),
        after.map(|place| place.n),
        after.map(|place| place.ordinal),
        limit,
    ];
    conn.rows(sql, bound).await
}

fn query_words(text: &str) -> Vec<String> {
    let mut words = distinct_words(text);
    words.truncate(MAX_QUERY_WORDS);
    words
}

/// Where a row stands in the list of results.
struct Place {
    original: i64,
    trajectory: String,
    n: i64,
    ordinal: i64,
}

impl Place {
    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            original: row.int(0)?,
            trajectory: row.text(1)?,
            n: row.int(2)?,
            ordinal: row.int(3)?,
        })
    }

    fn parse(cursor: &str) -> Result<Self, StoreError> {
        let mut fields = cursor.splitn(4, '.');
        let mut number = || {
            fields
                .next()
                .and_then(|field| field.parse().ok())
                .ok_or(StoreError::BadCursor)
        };
        let (original, n, ordinal) = (number()?, number()?, number()?);
        let trajectory = fields.next().ok_or(StoreError::BadCursor)?.to_owned();
        Ok(Self {
            original,
            trajectory,
            n,
            ordinal,
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}.{}.{}",
            self.original, self.n, self.ordinal, self.trajectory
        )
    }
}

fn read_hit(
    row: &Row,
    request: &SearchRequest,
    words: &[String],
) -> Result<Option<Hit>, StoreError> {
    let text = read_text(row, 5)?;
    let at = match &request.regex {
        Some(regex) => match regex.find(&text) {
            Some(found) => found.start(),
            None => return Ok(None),
        },
        None => first_match(&text, &words.iter().map(String::as_str).collect()).unwrap_or(0),
    };
    let snippet = snippet(&text, at);
    Ok(Some(Hit {
        trajectory: row.text(1)?,
        n: row.count(2)?,
        hash: read_hash(row, 4)?,
        snippet,
    }))
}

fn snippet(text: &str, at: usize) -> String {
    let start = text.floor_char_boundary(at.saturating_sub(SNIPPET.0));
    let end = text.floor_char_boundary(at.saturating_add(SNIPPET.1));
    let middle = text.get(start..end).unwrap_or_default();
    let before = if start > 0 { "…" } else { "" };
    let after = if end < text.len() { "…" } else { "" };
    format!("{before}{middle}{after}")
}

/// Returns messages by score, then newest first.
fn rank(rows: &[Row], words: &[String]) -> Result<Vec<Recalled>, StoreError> {
    let wanted: HashSet<&str> = words.iter().map(String::as_str).collect();
    let mut held = Vec::with_capacity(rows.len());
    let mut counts: HashMap<&str, f64> = HashMap::new();
    for row in rows {
        let text = distinct_words(&read_text(row, 5)?);
        let found: Vec<&str> = text
            .iter()
            .filter_map(|word| wanted.get(word.as_str()).copied())
            .collect();
        for word in &found {
            *counts.entry(word).or_default() += 1.0;
        }
        held.push(found);
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 512 rows")]
    let all = rows.len() as f64;
    let mut ranked: Vec<Recalled> = Vec::new();
    for (row, found) in rows.iter().zip(&held) {
        let rarity = |word: &&str| (1.0 + all / counts.get(word).copied().unwrap_or(1.0)).ln();
        let score = found.iter().map(rarity).sum();
        let recalled = Recalled {
            n: row.count(2)?,
            hash: read_hash(row, 4)?,
            score,
        };
        match ranked.last_mut() {
            Some(last) if last.n == recalled.n && last.score >= score => {}
            Some(last) if last.n == recalled.n => *last = recalled,
            _ => ranked.push(recalled),
        }
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.n.cmp(&a.n)));
    Ok(ranked)
}
