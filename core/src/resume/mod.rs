//! Resumes: the parsed form of raw documents, and the search for them.

mod gone;
mod links;
mod reparse;
mod search;
mod store;

pub use gone::{hide_missing, hold_sight, missing, note_seen, see};
pub use links::{Links, links_after};
pub use reparse::{Outdated, Recount, ReparsePlace, count_outdated, outdated_after, reparse, store_reparsed};
pub use search::{
    Hit, MAX_LIMIT, MAX_SKILLS, Match, SearchError, SearchPage, SkillQuery, TOTAL_EXACT_UP_TO, Total, search,
};
pub use store::{
    BY_REQUEST, NewParseFailure, NewResume, PARSER_CRASHED, Resume, UNPARSED, failure_counts, find,
    store_failures, store_parsed, take_failures, withdraw_failures,
};
