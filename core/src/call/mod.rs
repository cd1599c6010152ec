//! Calls: every request that a collection makes or is about to make, whether for a page of a list, one item
//! in full or a file.
//!
//! The rows of `calls` are a collection's checkpoint. A call is `pending` until its answer is stored (`done`)
//! or its job was discarded (`failed`). What follows from an answer is opened in the transaction that stores
//! it, each call once in a collection.
//!
//! | file | what it does |
//! | --- | --- |
//! | `open.rs` | the one place that opens calls, with their jobs |
//! | `find.rs` | [`find`]: what the call of a job is, with all that making and storing it takes |
//! | `store.rs` | [`store()`]: stores an answer, and opens what follows from it |
//! | `next.rs` | which pages of the same list follow a page; pure |
//! | `follow.rs` | what becomes of the items of a page: documents, or further calls; pure |
//! | `fail.rs` | calls that brought nothing, and calls that were given up |
//! | `restart.rs` | a list whose cursor has expired is read again from its beginning |
//! | `attachment.rs` | files that belong to items, whose addresses expire |
//! | `keys.rs` | the items of pages as keys, by which pages are compared |
//! | `list.rs`, `errors.rs` | [`list()`]: the calls of a collection, for people; how often each error happened |
//! | `known.rs` | people who are asked for because their resumes lead to the source |
//! | `erase.rs` | what calls tell of one person, and forgetting it |
//! | `erased.rs` | nobody is asked for who was erased |
//! | `deleted.rs` | who is there and who was deleted, as answers tell |
//! | `retention.rs` | the calls of old collections are deleted |
//!
//! Locks are taken in this order: the call, resumes that are hidden or shown, people, batches, and at the end
//! the collection, where its state changes.

mod answered;
mod attachment;
mod deleted;
pub(crate) mod erase;
mod erased;
mod errors;
mod fail;
mod find;
mod follow;
pub(crate) mod keys;
mod known;
mod list;
mod next;
mod open;
mod restart;
mod retention;
mod store;

use chrono::{DateTime, Utc};
use resume_queue::GroupId;
use uuid::Uuid;

use crate::{
    progress::CollectionState,
    source::{
        Source,
        definition::{Step, Values},
    },
};

pub use answered::{Answered, StoreCallError, StoredAnswer};
pub use attachment::{FoundAttachments, expire_attachment, refresh_attachments, store_attachment};
pub(crate) use errors::error_counts;
pub(crate) use fail::shown;
pub use fail::{CallFailure, give_up, note_failure};
pub use find::{Found, find, find_origin};
pub(crate) use find::{has_failed_page, open_again, seed_of};
pub(crate) use follow::kept;
pub use known::open_known;
pub use list::{CallFilter, CallState, ListedCall, list};
pub(crate) use next::{first as first_pages, followers};
pub(crate) use open::{NewCall, enqueue_calls, open};
pub use restart::restart;
pub(crate) use retention::delete_some;
pub use store::{skip, store};

/// How many pages of a numbered list are on their way at once: enough to keep the allowed rate busy at a
/// second of latency, few enough that a collection of a million pages does not fill the queue.
pub(crate) const WINDOW_PAGES: i32 = 32;

/// A call that is about to be made, with all that making it and storing its answer takes.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its number.
    pub id: i64,
    /// The collection.
    pub collection_id: Uuid,
    /// The group of the collection's present run.
    pub group: Option<GroupId>,
    /// What it is for. What it is about is in `values`.
    pub step: Step,
    /// The page's place in its own list, from 1; of an attachment its place among those of the item.
    pub place: i32,
    /// From 2 on: a doubtful page of a numbered list is read again, or a list whose cursor had expired.
    pub(crate) reading: i32,
    /// Where it is, as the answer before said: an address or a cursor. `None` for numbered pages, and for the
    /// first one. Of an attachment its address; `None` when that has expired.
    pub link: Option<String>,
    /// What the parameters of the call are made of.
    pub values: Values,
    /// Of an attachment: what it belongs to.
    pub attached: Option<Attached>,
    /// Where it leads.
    pub source: Source,
    /// How many items were asked for; `None`: everything.
    pub(crate) count: Option<i64>,
    /// How many documents one job parses.
    pub batch_size: usize,
    pub(crate) pages_expected: Option<i32>,
    pub(crate) first_document_id: i64,
    pub(crate) state: CollectionState,
    pub(crate) has_started: bool,
}

/// What an attachment belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    pub(crate) document_id: i64,
    pub(crate) name: String,
    /// The call whose answer had its address.
    pub(crate) origin: i64,
}

/// What new jobs of a collection belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) collection_id: Uuid,
    /// The group of the present run.
    pub(crate) group: Option<GroupId>,
    pub(crate) source: &'a str,
}

impl Call {
    /// How many pages hold what was asked for, if all are full; the most there can be where everything was
    /// asked for.
    pub(crate) fn pages_max(&self) -> i32 {
        pages_of(self.count, self.values.per_page)
    }

    /// Whether the page is one of several of its list that are fetched side by side.
    pub(crate) fn is_windowed(&self) -> bool {
        self.step == Step::List && self.source.definition.list.is_windowed()
    }

    /// Whether a doubtful page is read again: nothing follows from it.
    pub(crate) fn is_reread(&self) -> bool {
        self.reading > 1 && self.is_windowed()
    }

    /// Whether the page is one of the list that the collection began with.
    pub(crate) fn is_of_first_list(&self) -> bool {
        self.step == self.source.definition.first_step() && self.values.parent.is_none()
    }

    /// Whether the source is told how many items are wanted, so that the number of pages is known before.
    pub(crate) fn takes_count(&self) -> bool {
        self.count.is_some() && self.source.definition.list.takes_count()
    }

    /// Whether its list may not reach this far: it is asked for by its number, and is behind the last page
    /// that is known, or none is.
    pub fn may_be_behind_the_end(&self) -> bool {
        let call = self.source.definition.call_of(self.step);
        let is_numbered = call.is_some_and(|list| list.paging.is_numbered()) && !self.takes_count();
        let last = self.pages_expected.filter(|_| self.is_of_first_list());
        is_numbered && self.place > 1 && last.is_none_or(|last| self.place > last)
    }

    pub(crate) fn run(&self) -> Run<'_> {
        Run { collection_id: self.collection_id, group: self.group, source: &self.source.definition.name }
    }

    /// The parent that it is about; empty: none.
    pub(crate) fn parent(&self) -> &str {
        self.values.parent.as_deref().unwrap_or_default()
    }
}

/// How many pages so many items fill; the most there can be for `None`.
pub(crate) fn pages_of(count: Option<i64>, per_page: u32) -> i32 {
    let pages = count.map(|count| count.unsigned_abs().div_ceil(u64::from(per_page.max(1))));
    pages.and_then(|pages| i32::try_from(pages).ok()).unwrap_or(i32::MAX)
}

/// What a source answered to a call, ready to be stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Its items, in order.
    pub items: Vec<crate::document::NewDocument>,
    /// The address of the next page, or the cursor that asks for it, where the source gave one.
    pub next: Option<String>,
    /// How many items there are in all, where the source says so.
    pub total: Option<u64>,
    /// The attachments of the items, where those are kept that this answer brings.
    pub attachments: FoundAttachments,
    /// When the call was made, by the database's clock; now, if that is not known.
    pub called_at: Option<DateTime<Utc>>,
}
