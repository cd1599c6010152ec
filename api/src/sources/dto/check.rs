use std::error::Error;

use poem_openapi::{
    Object,
    types::{Any, Example},
};
use resume_connector::{CallError, Probe};
use resume_core::{call_limit::Obstacle, source::definition::Definition};
use serde_json::{Value, json};

use crate::sources::dry_call::{NotMade, Shown, code_of};

/// A definition that has nothing wrong with it, and what a call has shown.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::sources) struct SourceCheck {
    /// The name of the source that it defines.
    name: String,
    /// What one call has shown; null when none was asked for, for a source whose items come in files, and for
    /// one that is asked for known people only.
    #[oai(nullable)]
    call: Option<DryCall>,
}

/// One call, or one for each step of the source, of which nothing is kept.
#[derive(Debug, Default, Object)]
pub(in crate::sources) struct DryCall {
    /// How many calls were made: one for each step of the source.
    calls: u64,
    /// The status of the last answer; null when none came.
    #[oai(nullable)]
    status: Option<u16>,
    /// Why it brought no page, or was not made; null when it brought one.
    #[oai(nullable)]
    code: Option<String>,
    /// The same in words.
    #[oai(nullable)]
    detail: Option<String>,
    /// How many parents their first page has, for a source that has some.
    #[oai(nullable)]
    parents: Option<u64>,
    /// How many items the page has.
    #[oai(nullable)]
    items: Option<u64>,
    /// How many items there are in all, where the source tells.
    #[oai(nullable)]
    total: Option<u64>,
    /// How many were deleted, on the first page of the feed that tells so, for a source that has one.
    #[oai(nullable)]
    deleted: Option<u64>,
    /// Whether more pages seem to follow.
    #[oai(nullable)]
    has_next: Option<bool>,
    /// The first item that was not deleted, as a worker would read it; null when there is none.
    #[oai(nullable)]
    first: Option<FirstItem>,
    /// Bytes of the answers' bodies, as they came over the wire.
    bytes: u64,
    /// How long the calls took.
    took_seconds: f64,
}

/// An item, as a worker would read it.
#[derive(Debug, Object)]
#[oai(rename = "CheckedItem")]
struct FirstItem {
    /// The id that it would be known by.
    #[oai(nullable)]
    external_id: Option<String>,
    /// The resume; null when the item cannot be read.
    #[oai(nullable)]
    resume: Option<Any<Value>>,
    /// Why it cannot be read, as the code of a parse failure.
    #[oai(nullable)]
    code: Option<String>,
    /// The same in words, with the place in the item.
    #[oai(nullable)]
    detail: Option<String>,
}

impl SourceCheck {
    pub(in crate::sources) fn new(name: String, call: Option<DryCall>) -> Self {
        Self { name, call }
    }
}

impl DryCall {
    /// What calls that went well have shown.
    pub(in crate::sources) fn of(definition: &Definition, probe: &Probe, shown: Shown) -> Self {
        Self {
            parents: probe.parents.map(|parents| parents as u64),
            items: Some(probe.items as u64),
            total: probe.total,
            deleted: probe.deleted.map(|deleted| deleted as u64),
            has_next: Some(probe.has_next),
            first: FirstItem::of(definition, probe),
            ..Self::shown(shown)
        }
    }

    /// What calls have shown until one brought no page, or was not made.
    pub(in crate::sources) fn not_made(why: &NotMade, shown: Shown) -> Self {
        let (code, detail) = explain(why);
        Self { code: Some(code), detail: Some(detail), ..Self::shown(shown) }
    }

    fn shown(Shown { status, calls, bytes, took }: Shown) -> Self {
        let took_seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        Self { status, calls, bytes, took_seconds, ..Self::default() }
    }
}

impl FirstItem {
    fn of(definition: &Definition, probe: &Probe) -> Option<Self> {
        let external_id = probe.first.as_ref()?.external_id.clone();
        let (mut resume, mut code, mut detail) = (None, None, None);
        match probe.read_first(definition)? {
            Ok(read) => resume = Some(Any(serde_json::to_value(&read).unwrap_or_default())),
            Err(error) => {
                code = Some(error.code.as_str().to_owned());
                detail = Some(format!("at {:?}: {}", error.pointer, error.detail));
            }
        }
        Some(Self { external_id, resume, code, detail })
    }
}

/// The text of an error with its cause. Neither holds a secret.
fn text_of(error: &CallError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// A code, and the same in words.
fn explain(why: &NotMade) -> (String, String) {
    let (code, detail) = match why {
        NotMade::Failed(error) => return (code_of(error), text_of(error)),
        NotMade::PrivateNetwork => (
            "private_network_not_allowed",
            "this process calls no private network for a check: check with `resume-service sources check`, or start the API \
             with --check-private-networks",
        ),
        NotMade::RefreshToken => (
            "refresh_token_not_used",
            "a refresh token is used up by the call, and the next one written into its file: check with `resume-service sources \
             check` on a machine whose workers share that file",
        ),
        NotMade::Busy => ("check_busy", "too many checks are under way: try again"),
        NotMade::Late => ("check_timeout", "there was no answer within 30 s"),
        NotMade::Kept(Obstacle::Limit | Obstacle::Concurrency) => (
            "call_limit_used",
            "a source of this name is there, and its collections use all calls that it allows",
        ),
        NotMade::Kept(Obstacle::Silence) => {
            ("source_silent", "a source of this name is there, and has asked for silence")
        }
        NotMade::Kept(Obstacle::Open) => (
            "circuit_open",
            "a source of this name is there, and left alone for a while, since its calls fail",
        ),
        NotMade::Kept(Obstacle::Held) => (
            "source_held",
            "a source of this name is there, and somebody holds its calls back: `release_source`",
        ),
        NotMade::Database(_) => ("internal_error", "the database failed"),
    };
    (code.to_owned(), detail.to_owned())
}

impl Example for SourceCheck {
    fn example() -> Self {
        let resume = json!({"name": "Ada Lovelace", "skills": ["Rust", "SQL"]});
        let first = FirstItem {
            external_id: Some("7f3a".to_owned()),
            resume: Some(Any(resume)),
            code: None,
            detail: None,
        };
        let call = DryCall {
            calls: 1,
            status: Some(200),
            items: Some(100),
            total: Some(4711),
            has_next: Some(true),
            first: Some(first),
            bytes: 48_213,
            took_seconds: 0.412,
            ..DryCall::default()
        };
        Self { name: "acme-lever".to_owned(), call: Some(call) }
    }
}
