use std::time::Duration;

use resume_core::{
    document::NewDocument,
    parsing::{CompiledMapping, ParseError, ParsedResume, parse, parse_mapped},
    source::definition::{Definition, Paging, Step, Values},
};

use crate::{Answer, Call, CallError, Connector, Page};

/// What a dry call of each step has shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probe {
    /// How many calls were made: one for each step, and none behind a step that brought nothing.
    pub calls: usize,
    /// Parents on their first page, for a source that has some.
    pub parents: Option<usize>,
    /// Items on the first page, that of the first parent.
    pub items: usize,
    /// Whether more pages seem to follow, those of other parents included.
    pub has_next: bool,
    /// How many items there are in all, where the source says so and the definition says where.
    pub total: Option<u64>,
    /// How many were deleted, on the first page of the feed that tells so, for a source that has one.
    pub deleted: Option<usize>,
    /// The first item that was not deleted, verbatim and in full, with the id that it would be known by. As
    /// large as the source made it: at most a page.
    pub first: Option<NewDocument>,
    /// Bytes of the answers' bodies, as they came over the wire.
    pub bytes: u64,
    /// How long the calls took.
    pub took: Duration,
}

impl Connector {
    /// Asks the source for its first page, as a collection would that wants no more than one page, and on the
    /// way for the first page of parents, and the first item in full; and for those who were deleted. Makes
    /// one call for each step that the source has, beside those of a token endpoint; none for a source that
    /// is asked for known people only. Nothing is kept of it.
    ///
    /// # Errors
    /// Any [`CallError`].
    pub async fn probe(&self, definition: &Definition) -> Result<Probe, CallError> {
        self.probe_by(definition, |call| async { Ok(call.send().await) }).await
    }

    /// As [`probe`](Self::probe), with each call made by the caller, who may wait for leave to make it.
    ///
    /// # Errors
    /// Any [`CallError`], and those of `make`.
    pub async fn probe_by<E: From<CallError>, F: Future<Output = Result<Answer, E>>>(
        &self,
        definition: &Definition,
        make: impl Fn(Call) -> F,
    ) -> Result<Probe, E> {
        let mut probe = Probe::default();
        if !definition.has_first_call() {
            return Ok(probe);
        }
        self.look_at_items(definition, &make, &mut probe).await?;
        if definition.list.has_deleted_feed() {
            let page = self.look(definition, Step::Deleted, (None, None), &make, &mut probe).await?;
            probe.deleted = Some(page.items.len());
        }
        Ok(probe)
    }

    /// Looks at the first parents, the first items and the first one of them that was not deleted.
    async fn look_at_items<E: From<CallError>, F: Future<Output = Result<Answer, E>>>(
        &self,
        definition: &Definition,
        make: &impl Fn(Call) -> F,
        probe: &mut Probe,
    ) -> Result<(), E> {
        let mut parent = None;
        if definition.parents.is_some() {
            let page = self.look(definition, Step::Parents, (None, None), make, probe).await?;
            probe.parents = Some(page.items.len());
            probe.has_next = page.items.len() > 1 || has_next(definition, Step::Parents, &page);
            parent = page.items.into_iter().find_map(|item| item.external_id);
            if parent.is_none() {
                return Ok(());
            }
        }
        let page = self.look(definition, Step::List, (parent.clone(), None), make, probe).await?;
        probe.items = page.items.len();
        probe.has_next |= has_next(definition, Step::List, &page);
        probe.total = page.total;
        probe.first = page.items.into_iter().find(|item| !item.is_deleted);
        if definition.detail.is_some()
            && let Some(id) = probe.first.as_ref().and_then(|item| item.id_at_source()).map(str::to_owned)
        {
            let page = self.look(definition, Step::Detail, (parent, Some(id)), make, probe).await?;
            probe.first = page.items.into_iter().next();
        }
        Ok(())
    }

    /// Makes the call of a step for its first page, about a parent and an item.
    async fn look<E: From<CallError>, F: Future<Output = Result<Answer, E>>>(
        &self,
        definition: &Definition,
        step: Step,
        (parent, id): (Option<String>, Option<String>),
        make: &impl Fn(Call) -> F,
        probe: &mut Probe,
    ) -> Result<Page, E> {
        let values = Values { parent, id, ..first_page(definition, step) };
        let answer = make(self.prepare(definition, step, &definition.base_url, None, &values).await?).await?;
        probe.calls += 1;
        probe.bytes += answer.bytes;
        probe.took += answer.took;
        Ok(answer.result?)
    }
}

impl Probe {
    /// Reads the first item as a worker would; `None` when there is none.
    pub fn read_first(&self, definition: &Definition) -> Option<Result<ParsedResume, ParseError>> {
        let item = self.first.as_ref()?;
        let external_id = item.external_id.as_deref();
        // The map was checked with the rest of the definition.
        Some(match definition.map.as_ref().and_then(|map| CompiledMapping::new(map).ok()) {
            Some(mapping) => parse_mapped(&mapping, external_id, &item.body),
            None => parse(definition.format, external_id, &item.body),
        })
    }
}

fn has_next(definition: &Definition, step: Step, page: &Page) -> bool {
    let Some(call) = definition.call_of(step) else { return false };
    let items = page.items.len() as u64;
    match (&call.paging, page.total) {
        (Paging::Numbered { .. }, Some(total)) => total > items,
        (Paging::Numbered { .. }, None) => items >= u64::from(call.per_page_max),
        _ => page.next.is_some(),
    }
}

/// The values for the first page of a step, as full as it may be.
pub(crate) fn first_page(definition: &Definition, step: Step) -> Values {
    let call = definition.call_of(step);
    let per_page = call.as_ref().map_or(1, |call| call.per_page_max);
    Values {
        count: Some(per_page.into()),
        per_page,
        page: call.map_or(1, |call| call.paging.first_page()),
        offset: 0,
        since: None,
        until: None,
        seed: 0,
        error_mode: false,
        parent: None,
        id: None,
    }
}
