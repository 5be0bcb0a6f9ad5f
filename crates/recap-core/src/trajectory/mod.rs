//! Trajectories: native messages in, a normalised view beside them, turns, facts. Imports only `tokens`.

mod facts;
mod hash;
mod message;

pub use facts::{Fact, FactKey, FactKind, facts};
pub use hash::{HashError, OriginalHash};
pub use message::{Block, Call, Image, Message, Observation, Origin, Role, WireFormat};
