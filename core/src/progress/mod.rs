//! How far a collection has come, as its calls and documents change it: its state, its counts, its errors,
//! and what the state is at the end. The lowest part of the domain that knows of collections; what is done
//! with them is in [`collection`](crate::collection).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `state.rs` | [`CollectionState`] |
//! | `counts.rs` | [`Counts`]: what has become of its calls and documents |
//! | `error_count.rs` | [`ErrorCount`]: an error, and how often it happened |
//! | `note.rs` | what an answer, or the lack of one, tells of all of it |
//! | `end.rs` | the final state, by what was counted; and the run that is still open |

pub mod counts;
mod end;
mod error_count;
mod note;
mod state;

pub use counts::{Counts, Speeds};
pub(crate) use end::{PAGE_REPEATS, conclude_again, harmless, hold_run, set_state};
pub(crate) use error_count::ERRORS_MAX;
pub use error_count::ErrorCount;
pub(crate) use note::{Pages, note_answer};
pub use note::{note_lagging, note_waiting};
pub use state::CollectionState;
