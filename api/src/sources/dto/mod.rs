//! What goes over the wire.

mod calls;
mod check;
mod source;

pub(super) use calls::SourceCalls;
pub(super) use check::{DryCall, SourceCheck};
pub(super) use source::{Reparse, Source, SourceList};
