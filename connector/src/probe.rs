use std::time::Duration;

use resume_core::{
    raw::NewRawDocument,
    source::definition::{Definition, Paging, Values},
};

use crate::{CallError, Connector};

/// What a dry call has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Items on the first page.
    pub items: usize,
    /// Whether more pages seem to follow.
    pub has_next: bool,
    /// How many items there are in all, where the source says so and the definition says where.
    pub total: Option<u64>,
    /// The first item, verbatim, with the id that it would be known by. As large as the source made it: at most a page.
    pub first: Option<NewRawDocument>,
    /// Bytes of the answer's body, as they came over the wire.
    pub bytes: u64,
    /// How long the call took.
    pub took: Duration,
}

impl Connector {
    /// Asks the source for its first page, as a collection would that wants no more than one page. Makes one call, beside
    /// those of a token endpoint. Nothing is kept of it.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn probe(&self, definition: &Definition) -> Result<Probe, CallError> {
        let answer = self.call(definition, &definition.base_url, None, &first_page(definition)).await;
        let page = answer.result?;
        let items = page.items.len();
        let has_next = match (&definition.list.paging, page.total) {
            (Paging::Numbered { .. }, Some(total)) => total > items as u64,
            (Paging::Numbered { .. }, None) => items as u64 >= u64::from(definition.list.per_page_max),
            _ => page.next.is_some(),
        };
        Ok(Probe {
            items,
            has_next,
            total: page.total,
            first: page.items.into_iter().next(),
            bytes: answer.bytes,
            took: answer.took,
        })
    }
}

fn first_page(definition: &Definition) -> Values {
    let page = match definition.list.paging {
        Paging::Numbered { first, .. } => first,
        _ => 1,
    };
    Values {
        count: definition.list.per_page_max,
        per_page: definition.list.per_page_max,
        page,
        offset: 0,
        since: None,
        until: None,
        seed: 0,
        error_mode: false,
    }
}
