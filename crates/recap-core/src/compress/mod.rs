//! Compression: what a text is, what of it is kept, and what that costs. Imports `tokens` and `trajectory`.

pub mod elide;
pub mod kind;
pub mod llm;
pub mod reformat;
pub mod rules;
pub mod select;
pub mod units;

pub use elide::{Elide, Elided, Ruled, bare_heading, cut_head_tail, elide, ruled_out};
pub use kind::{Kind, classify};
pub use rules::{
    DropRule, Favour, Guideline, GuidelineKind, Rules, RulesError, RulesMatcher, Thresholds, Verdict, Weigh,
    WeightName, WrittenSection,
};
pub use units::{Unit, UnitRole, Units, units};
