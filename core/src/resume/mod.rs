//! Resumes: the parsed form of raw documents, and the search for them.

mod search;
mod store;

pub use search::{
    Hit, MAX_LIMIT, MAX_SKILLS, Match, SearchError, SearchPage, SkillQuery, TOTAL_EXACT_UP_TO, Total, search,
};
pub use store::{
    NewParseFailure, NewResume, PARSER_CRASHED, Resume, failure_counts, find, store_failures, store_parsed,
    withdraw_failures,
};
