//! What goes over the wire.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_core::{
    call::{CallState, ListedCall},
    source::definition,
};

use crate::cursor::{self, Numbered};

/// How many calls a page has unless told otherwise.
pub(super) fn default_limit() -> u32 {
    100
}

/// Behind this call, in the list.
pub(super) type Behind = Numbered<7>;

/// Where a call stands.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "CollectionCallState", rename_all = "snake_case")]
pub(super) enum State {
    /// It is still to be made, or made again.
    Pending,
    /// Its answer is stored.
    Done,
    /// It was given up.
    Failed,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "CollectionCallStep", rename_all = "snake_case")]
pub(super) enum Step {
    /// A page of the list of parents.
    Parents,
    /// A page of the list of items, or of the list of one parent's items.
    List,
    /// One item in full.
    Detail,
    /// A file that belongs to an item.
    Attachment,
    /// A page of the deletions feed.
    Deleted,
    /// A look through resumes that are there for people to ask for. It takes no call.
    Known,
}

/// A page of the calls of a collection.
#[derive(Debug, Object)]
#[oai(rename = "CollectionCallList", example)]
pub(super) struct CallList {
    /// The calls.
    results: Vec<CallReply>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// A call of a collection.
#[derive(Debug, Object)]
#[oai(rename = "CollectionCall")]
struct CallReply {
    /// Its number.
    id: i64,
    /// What it is for.
    step: Step,
    /// The parent that it is about, in the source's words; null: none.
    #[oai(nullable)]
    parent: Option<String>,
    /// The id of the item that it is about; null: none.
    #[oai(nullable)]
    item: Option<String>,
    /// The place of the page in its list, from 1; of an attachment its place among those of the item.
    place: i32,
    /// How often the same is asked for: from 2 on a doubtful page, or a list whose cursor had expired, is
    /// read again.
    reading: i32,
    /// Where it stands.
    state: State,
    /// How often it was made, those without success included.
    made: i32,
    /// How often the source refused it because there were too many.
    rate_limited: i32,
    /// How many items its answer had; null while there is none.
    #[oai(nullable)]
    items: Option<i32>,
    /// What went wrong last, as a stable code.
    #[oai(nullable)]
    code: Option<String>,
    /// The same, for people.
    #[oai(nullable)]
    error: Option<String>,
    /// The address or cursor that the answer before gave, without what may be a secret: the query and
    /// credentials of an address.
    #[oai(nullable)]
    link: Option<String>,
    /// When its answer was stored; null while it is not.
    #[oai(nullable)]
    done_at: Option<DateTime<Utc>>,
}

impl CallList {
    /// The page of the first `limit` of `found`; one more tells that there is a next page.
    pub(super) fn new(mut found: Vec<ListedCall>, limit: usize) -> Self {
        let next_cursor = cursor::next(&mut found, limit, |last| Numbered::<7>(last.id));
        Self { results: found.into_iter().map(Into::into).collect(), next_cursor }
    }
}

impl From<ListedCall> for CallReply {
    fn from(call: ListedCall) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: call.id,
            step: call.step.into(),
            parent: given(call.parent),
            item: given(call.item),
            place: call.place,
            reading: call.reading,
            state: call.state.into(),
            made: call.made,
            rate_limited: call.rate_limited,
            items: call.items,
            code: call.error_code,
            error: call.error,
            link: call.link.as_deref().map(without_secrets),
            done_at: call.done_at,
        }
    }
}

/// An address or cursor without its query, where tokens and signatures are, and without credentials before
/// the host.
fn without_secrets(link: &str) -> String {
    let bare = link.split(['?', '#']).next().unwrap_or_default();
    let cut = if bare.len() < link.len() { "?…" } else { "" };
    match bare.split_once("//") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}//{host}{path}{cut}")
        }
        None => format!("{bare}{cut}"),
    }
}

impl From<State> for CallState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Done => Self::Done,
            State::Failed => Self::Failed,
        }
    }
}

impl From<CallState> for State {
    fn from(state: CallState) -> Self {
        match state {
            CallState::Pending => Self::Pending,
            CallState::Done => Self::Done,
            CallState::Failed => Self::Failed,
        }
    }
}

impl From<Step> for definition::Step {
    fn from(step: Step) -> Self {
        match step {
            Step::Parents => Self::Parents,
            Step::List => Self::List,
            Step::Detail => Self::Detail,
            Step::Attachment => Self::Attachment,
            Step::Deleted => Self::Deleted,
            Step::Known => Self::Known,
        }
    }
}

impl From<definition::Step> for Step {
    fn from(step: definition::Step) -> Self {
        match step {
            definition::Step::Parents => Self::Parents,
            definition::Step::List => Self::List,
            definition::Step::Detail => Self::Detail,
            definition::Step::Attachment => Self::Attachment,
            definition::Step::Deleted => Self::Deleted,
            definition::Step::Known => Self::Known,
        }
    }
}

impl Example for CallList {
    fn example() -> Self {
        let call = CallReply {
            id: 812,
            step: Step::List,
            parent: None,
            item: None,
            place: 2,
            reading: 1,
            state: State::Done,
            made: 2,
            rate_limited: 1,
            items: Some(10),
            code: None,
            error: None,
            link: Some("https://ats.example/candidates?…".to_owned()),
            done_at: Some(Utc.timestamp_nanos(1_795_446_000_000_000_000)),
        };
        Self { results: vec![call], next_cursor: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_shown_without_secrets() {
        for (link, shown) in [
            ("https://a.example/list?token=s3cret", "https://a.example/list?…"),
            ("https://user:s3cret@a.example:8080/list", "https://a.example:8080/list"),
            ("https://a.example/@me/list#s3cret", "https://a.example/@me/list?…"),
            ("//s3cret@a.example", "//a.example"),
            ("/list?page=2&api_key=s3cret", "/list?…"),
            ("?cursor=s3cret", "?…"),
            ("eyJpZCI6MX0=", "eyJpZCI6MX0="),
            ("", ""),
        ] {
            assert_eq!(without_secrets(link), shown);
        }
    }
}
