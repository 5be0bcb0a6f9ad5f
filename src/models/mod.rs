//! Models on this machine's disk: which are known, which are there, and how they get there. Imports `tls`. Nothing here
//! runs a model, and nothing here is called while the daemon serves.

mod catalogue;
mod error;
mod hash;
mod kind;
mod manifest;
mod name;
mod pull;
mod shelf;

pub use catalogue::{CATALOGUE, Carrier, Known, KnownFile, known};
pub use error::ModelsError;
pub use hash::sha256;
pub use kind::Kind;
pub use manifest::{Manifest, Pinned};
pub use name::{HubName, Wanted};
pub use pull::{PullOptions, Pulled, pull};
pub use shelf::{Entry, Shelf};
