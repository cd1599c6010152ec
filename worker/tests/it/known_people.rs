//! A source that is asked for people who are known from other sources, and for nobody else.

use std::collections::BTreeSet;

use mock_ats::Api;
use resume_core::{
    collection::{CollectionState, Progress},
    source,
};
use tempfile::TempDir;

use crate::{
    harness::{Pipeline, Worker, collection_of},
    shipped_sources::definition,
};

/// Candidates in Lever, every third of them with a link to GitHub.
const CANDIDATES: u32 = 30;
/// How many of the people are at GitHub.
const AT_GITHUB: u64 = 10;

struct Known {
    pipeline: Pipeline,
    worker: Worker,
    _secrets: TempDir,
}

impl Known {
    /// With both sources, of which Lever is collected.
    async fn start() -> Self {
        let pipeline = Pipeline::start().await;
        let secrets = tempfile::tempdir().unwrap();
        pipeline.mock.ats().set_people(Api::Lever, CANDIDATES);
        pipeline.mock.ats().set_people(Api::Github, AT_GITHUB as u32);
        for api in [Api::Lever, Api::Github] {
            let definition = definition(api.name(), &pipeline.mock.url(), &secrets);
            source::put(&mut pipeline.pool.acquire().await.unwrap(), &definition).await.unwrap();
        }
        let worker = pipeline.worker();
        let known = Self { pipeline, worker, _secrets: secrets };
        known.run(Api::Lever, 1000).await;
        known
    }

    async fn run(&self, api: Api, count: u32) -> Progress {
        let id = self.pipeline.collect(&collection_of(count, api.name())).await;
        let progress = self.pipeline.ended(id).await;
        assert_eq!(progress.collection.state, CollectionState::Completed, "{:?}", progress.errors);
        progress
    }

    fn calls(&self) -> u64 {
        self.pipeline.mock.ats().api_stats(Api::Github).calls
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_gave_a_link_is_asked_for() {
    let known = Known::start().await;
    let linked: Vec<u64> = (0..CANDIDATES.into()).step_by(3).collect();
    let progress = known.run(Api::Github, 1_000_000).await;
    assert_eq!(known.calls(), linked.len() as u64, "one call for each who gave a link");
    assert_eq!((progress.counts.made, progress.is_complete), (linked.len() as i64, Some(true)));
    let stats = known.pipeline.mock.ats().api_stats(Api::Github);
    let there: BTreeSet<String> =
        linked.iter().filter(|&&index| index < AT_GITHUB).map(|index| format!("person-{index}")).collect();
    assert_eq!((stats.served, stats.rejected), (4, 6), "a login that is not there is no error");
    let resumes = known.pipeline.resumes(Api::Github.name()).await;
    assert_eq!(resumes.keys().cloned().collect::<BTreeSet<_>>(), there);
    // What people do there is what they say in their resumes, and forks are others' work.
    let said = known.pipeline.resumes(Api::Lever.name()).await;
    for (index, login) in [0, 3, 6, 9].into_iter().zip(["person-0", "person-3", "person-6", "person-9"]) {
        let sorted = |skills: &[String]| skills.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(sorted(&resumes[login]), sorted(&said[&Api::Lever.external_id(index)]), "{login}");
    }

    let again = known.run(Api::Github, 1_000_000).await;
    assert_eq!((again.counts.stored, again.counts.unchanged), (0, 4), "what came from there leads to nobody");
    known.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_people_are_asked_for_than_were_wanted() {
    let known = Known::start().await;
    let progress = known.run(Api::Github, 2).await;
    assert_eq!((known.calls(), progress.counts.made, progress.is_complete), (2, 2, Some(false)));
    known.worker.stop().await;
}

/// GitHub says 403 where others say 429.
#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_the_collection_waits() {
    let known = Known::start().await;
    known.pipeline.mock.ats().set_api_calls(Api::Github, 0);
    let id = known.pipeline.collect(&collection_of(1000, Api::Github.name())).await;
    let state = CollectionState::WaitingForSource;
    known.pipeline.until(id, "it waits", |progress| progress.collection.state == state).await;
    let progress = known.pipeline.progress(id).await;
    assert!(progress.counts.rate_limited > 0 && progress.errors.is_empty(), "{progress:?}");
    known.worker.stop().await;
}

/// The page that was to look through the resumes has nothing to look for any more. It does not wait for that
/// to change.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_asks_for_a_list_instead_ends_its_run() {
    let pipeline = Pipeline::start().await;
    let secrets = tempfile::tempdir().unwrap();
    let known = definition(Api::Github.name(), &pipeline.mock.url(), &secrets);
    let mut listed = definition(Api::Lever.name(), &pipeline.mock.url(), &secrets);
    listed.name.clone_from(&known.name);
    let mut conn = pipeline.pool.acquire().await.unwrap();
    source::put(&mut conn, &known).await.unwrap();
    let id = pipeline.collect(&collection_of(10, &known.name)).await;
    source::put(&mut conn, &listed).await.unwrap();
    drop(conn);
    let worker = pipeline.worker();
    let progress = pipeline.ended(id).await;
    assert_eq!((progress.collection.state, progress.counts.made), (CollectionState::Failed, 0));
    assert_eq!(progress.errors[0].code, "request_invalid");
    worker.stop().await;
}
