//! Nobody is asked for who was erased: a call about them would have their id.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::{Answered, Call, NewCall, StoreCallError, StoredAnswer};
use crate::{
    document::{self, StoreError, Stored},
    erasure,
    progress::counts::{self, Counts},
    source::definition::Step,
};

/// Leaves the details of people out who were erased; returns how many.
pub(super) async fn leave_out(
    conn: &mut PgConnection,
    call: &Call,
    key: Option<&erasure::Key>,
    calls: Vec<NewCall>,
) -> Result<(Vec<NewCall>, i64), StoreError> {
    let details: Vec<String> = calls.iter().filter_map(|new| external_id(call, new)).collect();
    let erased: HashSet<String> = among(conn, call, key, details).await?.into_iter().collect();
    if erased.is_empty() {
        return Ok((calls, 0));
    }
    let before = calls.len();
    let is_kept = |new: &NewCall| external_id(call, new).is_none_or(|id| !erased.contains(&id));
    let kept: Vec<NewCall> = calls.into_iter().filter(is_kept).collect();
    let left_out = (before - kept.len()) as i64;
    Ok((kept, left_out))
}

/// Those of some external ids whose people were erased. Nobody who is known was.
pub(super) async fn among(
    conn: &mut PgConnection,
    call: &Call,
    key: Option<&erasure::Key>,
    mut external_ids: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<&str> = external_ids.iter().map(String::as_str).collect();
    let known = document::known(conn, call.source.id, &asked).await?;
    let known: HashSet<String> = known.into_iter().filter_map(|person| person.external_id).collect();
    external_ids.retain(|id| !known.contains(id));
    if external_ids.is_empty() {
        return Ok(Vec::new());
    }
    let places = erasure::erased_among(conn, call.source.id, key, &external_ids).await?;
    Ok(places.into_iter().map(|place| external_ids[place].clone()).collect())
}

/// The id that the person is known by whom a call asks for in full.
fn external_id(call: &Call, new: &NewCall) -> Option<String> {
    let is_within = call.source.definition.list.id_within_parent;
    (new.step == Step::Detail)
        .then(|| if is_within { format!("{}/{}", new.parent, new.item) } else { new.item.clone() })
}

/// Deletes the call for somebody in full who was erased since it was opened, in place of storing its answer.
pub(super) async fn drop_detail(
    conn: &mut PgConnection,
    call: &Call,
    was_failed: bool,
    stored: Stored,
) -> Result<Answered, StoreCallError> {
    sqlx::query!("delete from calls where id = $1", call.id).execute(&mut *conn).await?;
    let change = Counts {
        opened: -1,
        opened_behind: -1,
        failed_calls: -i64::from(was_failed),
        made: 1,
        erased: stored.erased as i64,
        ..Counts::default()
    };
    counts::add(conn, call.collection_id, change).await?;
    Ok(Answered::Stored(StoredAnswer { stored, without_job: Vec::new() }))
}
