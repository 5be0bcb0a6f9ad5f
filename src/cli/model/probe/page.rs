//! A made-up text with codes planted in it: the same for the same seed.

use recap_core::tokens::TokenCounter;

/// A text with planted codes.
#[derive(Debug, PartialEq)]
pub(super) struct Page {
    /// Sentences, one a line.
    pub text: String,
    /// The codes in the order of their depths.
    pub planted: Vec<Planted>,
}

/// A code in a text.
#[derive(Debug, PartialEq)]
pub(super) struct Planted {
    /// What has the code.
    pub key: String,
    /// Six digits.
    pub code: String,
}

const ADJECTIVES: [&str; 10] =
    ["amber", "quiet", "northern", "copper", "hollow", "crimson", "sunken", "silver", "broken", "distant"];
const THINGS: [&str; 10] =
    ["lantern", "harbour", "windmill", "orchard", "quarry", "bridge", "station", "archive", "tunnel", "garden"];
const PEOPLE: [&str; 8] =
    ["the keeper", "a visitor", "the clerk", "one of the guards", "the engineer", "nobody", "the baker", "a courier"];
const DEEDS: [&str; 8] = [
    "counted the crates twice",
    "left before the rain",
    "repaired the eastern gate",
    "asked about the ferry",
    "wrote a long letter",
    "closed the shutters early",
    "carried coal to the cellar",
    "talked about the harvest",
];
const PLACES: [&str; 8] = [
    "by the river",
    "near the market",
    "behind the chapel",
    "on the upper floor",
    "at the old mill",
    "in the yard",
    "along the canal",
    "under the arches",
];

/// Draws numbers: `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(words.len() as u64)).unwrap_or(0);
        words.get(at).copied().unwrap_or_default()
    }
}

impl Page {
    /// Writes a text of about so many tokens with `depths` codes (at most 100) spread evenly, the first near its
    /// beginning, the last near its end.
    pub(super) fn write(tokens: u32, depths: u32, seed: u64, counter: &dyn TokenCounter) -> Self {
        let mut dice = Dice(seed ^ (u64::from(tokens) << 32));
        let planted = plant(depths, &mut dice);
        let codes: Vec<String> =
            planted.iter().map(|one| format!("The access code of the {} is {}.", one.key, one.code)).collect();
        let tokens_of = |line: &str| counter.count(&format!("{line}\n"));
        let mut count: u32 = codes.iter().map(|line| tokens_of(line)).sum();
        let mut lines = Vec::new();
        while count < tokens {
            let line = filler(&mut dice);
            count += tokens_of(&line);
            lines.push(line);
        }
        let (number, filled) = (codes.len().max(1), lines.len());
        // From the back, so that places before are not moved.
        for (index, code) in codes.into_iter().enumerate().rev() {
            lines.insert((2 * index + 1) * filled / (2 * number), code);
        }
        Self { text: lines.join("\n"), planted }
    }
}

fn plant(depths: u32, dice: &mut Dice) -> Vec<Planted> {
    let mut keys: Vec<String> = ADJECTIVES
        .iter()
        .flat_map(|adjective| THINGS.iter().map(move |thing| format!("{adjective} {thing}")))
        .collect();
    let mut planted = Vec::new();
    for _ in 0..depths {
        if keys.is_empty() {
            break;
        }
        let at = usize::try_from(dice.below(keys.len() as u64)).unwrap_or(0);
        planted.push(Planted { key: keys.swap_remove(at), code: (100_000 + dice.below(900_000)).to_string() });
    }
    planted
}

fn filler(dice: &mut Dice) -> String {
    let (day, hour) = (1 + dice.below(364), dice.below(24));
    format!("Day {day}, hour {hour}: {} {} {}.", dice.of(&PEOPLE), dice.of(&DEEDS), dice.of(&PLACES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_long_as_asked_and_holds_each_code_once_in_order() {
        let counter = recap_core::tokens::for_model(None);
        let page = Page::write(1000, 5, 7, counter.as_ref());
        assert_eq!(page, Page::write(1000, 5, 7, counter.as_ref()));
        assert_ne!(page.text, Page::write(1000, 5, 8, counter.as_ref()).text);
        let count = counter.count(&page.text);
        assert!((900..=1100).contains(&count), "{count}");
        let lines: Vec<&str> = page.text.lines().collect();
        let places: Vec<usize> = page
            .planted
            .iter()
            .map(|one| {
                assert_eq!(page.text.matches(&one.code).count(), 1);
                assert_eq!(page.text.matches(&one.key).count(), 1);
                100 * lines.iter().position(|line| line.contains(&one.code)).unwrap() / lines.len()
            })
            .collect();
        for (place, depth) in places.iter().zip([10, 30, 50, 70, 90]) {
            assert!(place.abs_diff(depth) <= 5, "{places:?}");
        }
    }

    #[test]
    fn a_text_too_short_for_its_codes_holds_them_all() {
        let counter = recap_core::tokens::for_model(None);
        assert_eq!(Page::write(1, 3, 1, counter.as_ref()).text.lines().count(), 3);
    }
}
