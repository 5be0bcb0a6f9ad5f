//! Context assembly: what an agent should see now in at most B tokens. Imports `tokens`, `trajectory`,
//! `compress`.
//!
//! A [`Session`] is the live state of one trajectory: its head, a bounded digest of all turns, the turns since
//! the last epoch, and one [`Epoch`] for each line of reads (format, budget, include). It is a pure state
//! machine: the daemon feeds it admitted messages and asks it to serve.

mod receipt;

pub use receipt::{
    NextReceipt, Omitted, Piece, PieceKind, PrefixReceipt, Receipt, Repaired, TokenReceipt,
};
