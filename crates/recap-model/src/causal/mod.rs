//! A causal chat model.
