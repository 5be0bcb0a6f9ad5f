//! A read: what stands where, rendered, with its receipt.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;
use serde_json::Value;

use super::admit::Admitted;
use super::epoch::{EpochRecord, MOST_ORIGINALS, Section};
use super::expand::expand_tool;
use super::receipt::{NextReceipt, Omitted, Piece, PieceKind, PrefixReceipt, Receipt, Repaired, TokenReceipt};
use super::request::ContextRequest;
use super::session::{Session, is_system};
use crate::tokens::{MESSAGE_TOKENS, REPLY_TOKENS};
use crate::trajectory::{
    AgentKind, Edits, MISSING_RESULT, OriginalHash, OutFormat, RenderItem, RepairKind, TurnKind, parse_rendered_tokens, render_sequence,
};
