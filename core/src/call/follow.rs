//! What becomes of the items of a page: documents, or further calls. Pure.

use std::borrow::Cow;

use super::{Answer, Call, NewCall};
use crate::{document::NewDocument, source::definition::Step};

/// What becomes of the items of a page.
#[derive(Debug)]
pub(super) struct Division<'a> {
    /// Those that are stored.
    pub(super) documents: Cow<'a, [NewDocument]>,
    /// The calls that others lead to.
    pub(super) open: Vec<NewCall>,
    /// The code and the text of what is wrong with some of them.
    pub(super) fault: Option<(&'static str, String)>,
    /// Whether some are left out, because there are as many as were asked for.
    pub(super) is_cut: bool,
}

impl<'a> Division<'a> {
    /// Of items that lead to nothing.
    fn storing(documents: Cow<'a, [NewDocument]>) -> Self {
        Self { documents, open: Vec::new(), fault: None, is_cut: false }
    }
}

/// Tells what becomes of the items of a page. `items_before`: how many the lists have shown so far.
pub(super) fn divide<'a>(call: &Call, answer: &'a Answer, items_before: i64) -> Division<'a> {
    match call.step {
        Step::Parents => parents(answer),
        Step::List if call.source.definition.detail.is_some() => details(call, answer, items_before),
        Step::List | Step::Detail | Step::Attachment => Division::storing(kept(&answer.items)),
        Step::Deleted | Step::Known => Division::storing(Cow::Borrowed(&[])),
    }
}

/// All items but those of people who were deleted.
pub(crate) fn kept(items: &[NewDocument]) -> Cow<'_, [NewDocument]> {
    if items.iter().any(|item| item.is_deleted) {
        items.iter().filter(|item| !item.is_deleted).cloned().collect()
    } else {
        Cow::Borrowed(items)
    }
}

fn parents(answer: &Answer) -> Division<'_> {
    let (fit, unfit): (Vec<_>, Vec<_>) = answer.items.iter().partition(|item| id_for_path(item).is_some());
    let open =
        fit.into_iter().filter_map(|item| Some(NewCall::page(Step::List, item.id_at_source()?, 1, None)));
    Division {
        documents: Cow::Borrowed(&[]),
        open: open.collect(),
        fault: fault("parent_id_invalid", "parents", &unfit),
        is_cut: false,
    }
}

/// An item whose id cannot be asked for is kept as the list has it: something is better than nothing.
fn details<'a>(call: &Call, answer: &'a Answer, items_before: i64) -> Division<'a> {
    let room = call.count.map_or(usize::MAX, |count| usize::try_from(count - items_before).unwrap_or(0));
    let asked = answer.items.iter().take(room);
    let (fit, unfit): (Vec<_>, Vec<_>) =
        asked.filter(|item| !item.is_deleted).partition(|item| id_for_path(item).is_some());
    // Where the call does not name the parent, one answer is enough, under however many parents an item is
    // listed.
    let definition = &call.source.definition;
    let needs_parent = definition.detail_names_parent() || definition.list.id_within_parent;
    let parent = if needs_parent { call.parent() } else { "" };
    let open =
        fit.into_iter().filter_map(|item| Some(NewCall::detail(parent, item.id_at_source()?.to_owned())));
    Division {
        open: open.collect(),
        fault: fault("item_id_invalid", "items", &unfit),
        documents: unfit.into_iter().cloned().collect(),
        is_cut: answer.items.len() > room,
    }
}

/// The id of an item, if it can be a part of a path.
fn id_for_path(item: &NewDocument) -> Option<&str> {
    item.id_at_source().filter(|id| can_stand_in_a_path(id))
}

/// Whether an id can be a part of a path: what has a slash in it, or is a dot or two, could lead elsewhere at
/// a system that reads paths twice.
pub(super) fn can_stand_in_a_path(id: &str) -> bool {
    let is_odd = |c: char| c.is_control() || ['/', '\\'].contains(&c);
    !id.contains(is_odd) && ![".", ".."].contains(&id)
}

fn fault(code: &'static str, what: &str, unfit: &[&NewDocument]) -> Option<(&'static str, String)> {
    unfit.first()?;
    Some((code, format!("{} {what} have no id that can stand in a path", unfit.len())))
}
