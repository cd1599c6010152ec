//! Fetching waits while too much of what it brought waits to be parsed.

use mock_ats::Face;
use resume_core::{
    collection::{CollectionState, Progress},
    jobs::ParseDocuments,
};
use resume_queue::{Job, pause_queue, unpause_queue};
use uuid::Uuid;

use crate::{
    harness::{NEXT_LINK, NUMBERED, Pipeline, SEED, collection_of},
    outcome::people,
};

/// In documents: ten pages.
const BACKLOG_MAX: u32 = 100;

/// Pages that a worker fetches at once, in documents: they were on their way when the bound was passed.
const UNDER_WAY: i64 = 160;

impl Pipeline {
    /// Waits until fetching waits and no call is under way, which two looks a second apart tell by the same
    /// count.
    async fn until_held_back(&self, id: Uuid) -> Progress {
        let mut before = self.progress(id).await;
        loop {
            let held = self
                .until(id, "a second has passed in which it waited", |now| {
                    now.is_lagging && (now.seen_at - before.seen_at).num_seconds() >= 1
                })
                .await;
            if held.counts.made == before.counts.made {
                return held;
            }
            before = held;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_waits_for_a_paused_parser_and_goes_on_by_itself() {
    for source in [NUMBERED, NEXT_LINK] {
        let pipeline = Pipeline::start().await;
        pause_queue(&pipeline.pool, ParseDocuments::KIND).await.unwrap();
        let worker = pipeline.worker_with_backlog(BACKLOG_MAX);
        let id = pipeline.collect(&collection_of(1000, source)).await;
        let held = pipeline.until_held_back(id).await;
        assert_eq!(held.collection.state, CollectionState::Running);
        let bound = i64::from(BACKLOG_MAX);
        assert!((bound + 1..=bound + UNDER_WAY).contains(&held.counts.stored), "{source}: {held:#?}");
        assert_eq!(
            (held.counts.waiting(), held.total_backlog, held.counts.parsed),
            (held.counts.stored, held.counts.stored, 0)
        );
        assert_eq!(held.eta(), None);
        assert_eq!(held.counts.made.unsigned_abs(), pipeline.mock.ats().stats().calls);

        // Another one waits as well, before its first call.
        let other = pipeline.collect(&collection_of(10, source)).await;
        let waiting = pipeline.until(other, "it waits", |progress| progress.is_lagging).await;
        assert_eq!((waiting.counts.made, waiting.collection.state), (0, CollectionState::Pending));

        unpause_queue(&pipeline.pool, ParseDocuments::KIND).await.unwrap();
        for (id, count) in [(id, 1000), (other, 10)] {
            let ended = pipeline.ended(id).await;
            assert_eq!(ended.collection.state, CollectionState::Completed, "{source}: {ended:#?}");
            // The other one asks for people of the first.
            assert_eq!(ended.counts.parsed + ended.counts.unchanged, count);
            assert!(!ended.is_lagging);
            assert_eq!((ended.counts.waiting(), ended.total_backlog), (0, 0));
        }
        assert_eq!(pipeline.resumes(source).await, people(Face::TestData, SEED.into(), 1000, false));
        // No page was called twice, and waiting is no attempt.
        assert_eq!(pipeline.mock.ats().stats().calls, 101);
        let attempts = sqlx::query_scalar!(
            r#"select max(attempt)::integer as "attempt!" from jobs where kind = 'make_call'"#
        );
        assert_eq!(attempts.fetch_one(&pipeline.pool).await.unwrap(), 1);
        worker.stop().await;
    }
}
