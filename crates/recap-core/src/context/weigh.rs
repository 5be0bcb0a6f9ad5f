//! Weights as a guideline names them.

use super::worth::Weights;
use crate::compress::{Weigh, WeightName};

impl Weights {
    /// Returns these weights with those that a guideline names in their place.
    #[must_use]
    pub fn under(mut self, named: &Weigh) -> Self {
        for (name, value) in named.iter() {
            *self.at(name) = value;
        }
        self
    }

    /// Returns a weight.
    #[must_use]
    pub fn get(mut self, name: WeightName) -> f32 {
        *self.at(name)
    }

    fn at(&mut self, name: WeightName) -> &mut f32 {
        match name {
            WeightName::Age => &mut self.age,
            WeightName::Turns => &mut self.turns,
            WeightName::Crowd => &mut self.crowd,
            WeightName::Said => &mut self.said,
            WeightName::SaidTurns => &mut self.said_turns,
            WeightName::SaidAge => &mut self.said_age,
            WeightName::Path => &mut self.path,
            WeightName::Number => &mut self.number,
            WeightName::Opening => &mut self.opening,
            WeightName::Id => &mut self.id,
            WeightName::Presence => &mut self.presence,
            WeightName::InTail => &mut self.in_tail,
            WeightName::Again => &mut self.again,
            WeightName::Density => &mut self.density,
            WeightName::Error => &mut self.error,
            WeightName::Echo => &mut self.echo,
            WeightName::Line => &mut self.line,
            WeightName::Headline => &mut self.headline,
            WeightName::FactsShare => &mut self.facts_share,
            WeightName::RecalledShare => &mut self.recalled_share,
            WeightName::Relevance => &mut self.relevance,
            WeightName::ToldShare => &mut self.told_share,
            WeightName::Stay => &mut self.stay,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::compress::{Guideline, GuidelineKind};

    #[test]
    fn every_weight_can_be_named_and_its_default_is_in_range() {
        let defaults = Weights::default();
        for name in WeightName::ALL {
            assert!(name.range().contains(&defaults.get(name)), "{}", name.name());
            assert_eq!(WeightName::of(name.name()), Some(name));
            let value = name.range().start() * 0.5 + name.range().end() * 0.5;
            let text = format!("---\nweigh: {{{}: {value:?}}}\n---\n", name.name());
            let guideline = Guideline::parse_as(GuidelineKind::History, &text).unwrap();
            let weights = defaults.under(&guideline.weigh);
            for other in WeightName::ALL {
                let wanted = if other == name { value } else { defaults.get(other) };
                assert!((weights.get(other) - wanted).abs() < f32::EPSILON, "{text}");
            }
        }
    }
}
