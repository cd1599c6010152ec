//! People who are deleted in a system that tells so, and those who come back.

use mock_ats::{Api, FaultKind, Pages as OnPages, Times};
use resume_core::{
    collection::CollectionState,
    resume::{self, Match, SkillQuery},
    source::{self, definition::Definition},
};

use crate::{
    harness::{Pipeline, collection_of},
    outcome::Outcome,
    shipped_sources::definition,
    source_faults::{Faulty, PEOPLE, made},
};

/// Who is deleted. They know something.
const GOES: u64 = 3;

impl Pipeline {
    /// Whether a search for all that somebody knows finds them.
    async fn finds(&self, external_id: &str) -> bool {
        let skills = sqlx::query_scalar!(
            r#"select skills as "skills!" from resume_list where external_id = $1"#,
            external_id
        );
        let skills = skills.fetch_one(&self.pool).await.unwrap();
        let query = SkillQuery::parse(&skills.join(",")).unwrap();
        let found = resume::search(&self.pool, &query, Match::All, None, 100).await.unwrap();
        found.hits.iter().any(|hit| hit.resume.external_id == external_id)
    }
}

/// By the definitions that are shipped: in a feed (Lever), and as a flag of the item (Merge).
#[tokio::test(flavor = "multi_thread")]
async fn who_was_deleted_is_not_found_until_they_come_back() {
    for api in [Api::Lever, Api::Merge] {
        let pipeline = Pipeline::start().await;
        let (ats, secrets) = (pipeline.mock.ats(), tempfile::tempdir().unwrap());
        ats.set_people(api, 30);
        let definition = definition(api.name(), &pipeline.mock.url(), &secrets);
        source::put(&mut pipeline.pool.acquire().await.unwrap(), &definition).await.unwrap();
        let worker = pipeline.worker();
        let run = async || {
            let id = pipeline.collect(&collection_of(1000, api.name())).await;
            let progress = pipeline.ended(id).await;
            assert_eq!(progress.collection.state, CollectionState::Completed, "{:?}", progress.errors);
            (progress.counts.stored, progress.counts.unchanged)
        };
        let person = api.external_id(GOES);
        assert_eq!(run().await, (30, 0), "{api:?}");
        assert!(pipeline.finds(&person).await, "{api:?}");
        ats.let_go(api, GOES);
        assert_eq!(run().await, (0, 0), "{api:?}: the second run asks for changes");
        assert!(!pipeline.finds(&person).await, "{api:?}");
        assert_eq!(pipeline.resumes(api.name()).await.len(), 30, "{api:?}: it is kept, and hidden");
        ats.let_back(api, GOES);
        assert_eq!(run().await, (0, 1), "{api:?}");
        assert!(pipeline.finds(&person).await, "{api:?}");
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_fails_fails_alone_and_is_resumed() {
    let faulty = Faulty::start_in_full(Api::Lever, |_| ()).await;
    let ats = faulty.pipeline.mock.ats();
    let (_, is_complete) = faulty.collected().await;
    assert_eq!(is_complete, Some(true));
    ats.let_go(Api::Lever, GOES);
    ats.let_go(Api::Lever, GOES + 1);
    // The second page of the feed.
    feed_of_one(&faulty).await;
    faulty.set_fault(FaultKind::Status(400), OnPages::One(1002), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome.state, CollectionState::CompletedWithErrors);
    let sample = faulty.pipeline.progress(id).await.errors[0].sample.clone();
    assert_eq!(sample, "page 2 of the deleted: the source answered 400 Bad Request");
    let found = async |index| faulty.pipeline.finds(&Api::Lever.external_id(index)).await;
    assert_eq!((found(GOES).await, found(GOES + 1).await), (false, true));

    faulty.end_faults();
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    let people = i64::from(PEOPLE) - 2;
    // The list has three pages, for everything is asked for again where the feed is another one.
    let smooth = Outcome::smooth(3 + 2, 0);
    let documents = crate::outcome::Documents { unchanged: people, ..smooth.documents };
    assert_eq!(outcome, Outcome { documents, calls: made(6), ..smooth });
    assert_eq!((found(GOES).await, found(GOES + 1).await), (false, false));
    worker.stop().await;
}

/// Has the feed give one a page.
async fn feed_of_one(faulty: &Faulty) {
    let mut conn = faulty.pipeline.pool.acquire().await.unwrap();
    let mut definition: Definition = source::find(&mut conn, "lever").await.unwrap().unwrap().definition;
    let deleted = definition.list.deleted.as_mut().unwrap();
    deleted.feed.as_mut().unwrap().per_page_max = 1;
    source::put(&mut conn, &definition).await.unwrap();
}
