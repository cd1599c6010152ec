//! Whether a run has seen all that its list holds. Lists move while they are read: what comes in or goes shifts what lies
//! behind it from page to page, and may carry an item past its reader.
//!
//! `readings.rs` keeps what each page showed, `look.rs` judges it, `reread.rs` opens the doubtful pages again, once a run, and
//! `doubts.rs` keeps what is doubtful after that.

mod doubts;
mod look;
mod missing;
mod readings;
mod reread;

pub(super) use doubts::list as doubts;
pub use missing::hide_missing;
pub(super) use readings::{note as note_reading, seen_among};
pub(super) use reread::open_doubtful;
