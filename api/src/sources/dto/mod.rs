//! What goes over the wire.

mod calls;
mod source;

pub(super) use calls::SourceCalls;
pub(super) use source::{Reparse, Source, SourceList};
