//! The local models of recapd.
