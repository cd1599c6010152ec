//! A request that stops or continues a collection takes no time that grows with its calls.

use std::time::{Duration, Instant};

use resume_core::{
    collection::{self, Scope},
    progress::counts::{self, Counts},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of};

const CALLS: i32 = 1_000_000;

impl Fixture {
    /// Opens so many more calls, without jobs.
    pub(crate) async fn add_calls(&self, id: Uuid, calls: i32) {
        sqlx::query!(
            "insert into calls (collection_id, step, place) select $1, 'list', 1000 + n from generate_series(1, $2) n",
            id,
            calls
        )
        .execute(self.pool())
        .await
        .unwrap();
        let change = Counts { opened: calls.into(), ..Counts::default() };
        counts::add(&mut self.pool().acquire().await.unwrap(), id, change).await.unwrap();
    }
}

#[tokio::test]
async fn a_million_calls_are_stopped_and_continued_at_once() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.add_calls(id, CALLS).await;
    let in_time = async |what: &str, begun: Instant| {
        assert!(begun.elapsed() < Duration::from_secs(2), "{what} took {:?}", begun.elapsed());
    };
    let continue_collection = async || {
        let mut tx = fixture.pool().begin().await.unwrap();
        let continued = collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(continued.calls, i64::from(CALLS) + 4);
    };
    let begun = Instant::now();
    fixture.pause(id).await.unwrap();
    in_time("pausing", begun).await;
    let begun = Instant::now();
    continue_collection().await;
    in_time("continuing", begun).await;
    let begun = Instant::now();
    fixture.cancel(id).await.unwrap();
    in_time("cancelling", begun).await;
    let begun = Instant::now();
    continue_collection().await;
    in_time("continuing what was cancelled", begun).await;
    let begun = Instant::now();
    fixture.progress(id).await;
    in_time("the status", begun).await;
}
