//! Compression: what a text is, what of it is kept, and what that costs. Imports `tokens` and `trajectory`.

pub mod kind;
pub mod reformat;
pub mod select;
pub mod units;

pub use kind::{Kind, classify};
pub use units::{Unit, UnitRole, Units, units};
