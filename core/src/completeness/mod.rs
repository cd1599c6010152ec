//! Whether a run has seen all that its list holds. Lists move while they are read: what comes in or goes
//! shifts what lies behind it from page to page, and may carry an item past its reader.
//!
//! | file | what it does |
//! | --- | --- |
//! | `readings.rs` | what each page has shown |
//! | `findings.rs` | what the readings show; pure |
//! | `reread.rs` | [`judge`]: reads the doubtful pages again, once a run, and keeps what is doubtful after that |
//! | `doubts.rs` | the doubts |
//! | `hide.rs` | [`hide_missing`]: hides whom a complete run has not seen, and whom the feed of the deleted named |

mod doubts;
mod findings;
mod hide;
mod readings;
mod reread;

pub(crate) use doubts::{
    add as add_doubt, delete as delete_doubts, forget as forget_doubts, list as doubts,
    remove as remove_doubt,
};
pub use hide::{ConfirmError, Hidden, confirm_hiding, hide_missing};
pub(crate) use reread::{Judged, Verdict, judge};
