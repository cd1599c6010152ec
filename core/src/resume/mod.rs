//! Resumes: the parsed form of a person's latest document, and the search for them.
//!
//! | file | what it does |
//! | --- | --- |
//! | `settle.rs` | [`settle`]: stores the result of parsing a batch |
//! | `store.rs` | one resume for each person; what is newer wins |
//! | `stored.rs` | [`Resume`], and how its row has it |
//! | `find.rs` | [`find`], [`list()`]: one resume, and lists of them |
//! | `search.rs` | [`search()`]: by skill |
//! | `hide.rs` | shows and hides people |
//! | `reparse.rs` | what an older parser or map made is parsed again |
//! | `links.rs` | links to a host in resumes |

mod find;
mod hide;
mod links;
mod reparse;
mod search;
mod settle;
mod store;
mod stored;

pub use find::{ListPlace, ResumeFilter, find, list};
pub(crate) use hide::{hold_sight, set_hidden, share_sight, shown_after};
pub(crate) use links::links_after;
pub use reparse::{Step, count_outdated, reparse, reparse_next, store_reparsed};
pub use search::{
    Hit, MAX_LIMIT, MAX_SKILLS, Match, SearchError, SearchPage, SkillQuery, TOTAL_EXACT_UP_TO, Total, search,
};
pub use settle::{Outcome, PARSER_CRASHED, Settled, by_request, settle};
pub use store::NewResume;
pub(crate) use store::{delete, document_of};
pub use stored::Resume;
