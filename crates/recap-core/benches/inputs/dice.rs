//! Numbers and names that look random and are the same in every run.

/// A linear congruential generator (Knuth's MMIX constants).
pub struct Dice(u64);

const WORDS: [&str; 40] = [
    "the",
    "request",
    "was",
    "accepted",
    "after",
    "third",
    "attempt",
    "because",
    "cache",
    "held",
    "stale",
    "entry",
    "for",
    "customer",
    "order",
    "while",
    "worker",
    "waited",
    "on",
    "queue",
    "and",
    "timeout",
    "passed",
    "without",
    "reply",
    "from",
    "upstream",
    "service",
    "so",
    "client",
    "closed",
    "connection",
    "before",
    "result",
    "could",
    "be",
    "written",
    "to",
    "storage",
    "again",
];

impl Dice {
    /// Starts a row of numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end.max(1)
    }

    /// Returns one of a list's elements.
    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(list.len() as u64)).unwrap_or_default();
        list.get(at).copied().unwrap_or_default()
    }

    /// Returns a word.
    pub fn word(&mut self) -> &'static str {
        self.pick(&WORDS)
    }

    /// Returns a sentence of `words` words, without its full stop.
    pub fn sentence(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// Returns a name of two words.
    pub fn name(&mut self) -> String {
        format!("{}_{}", self.word(), self.word())
    }

    /// Returns a path of a source file.
    pub fn path(&mut self) -> String {
        let folder = self.pick(&["src", "lib", "tests", "crates/core/src"]);
        let end = self.pick(&["rs", "py", "json", "md"]);
        format!("{folder}/{}/{}.{end}", self.word(), self.name())
    }
}
