//! A map that is changed, and what was read with the one before.

use std::collections::BTreeMap;

use resume_core::{
    collection::{CollectionState, NewCollection},
    db,
    jobs::ReparseSource,
    parsing::Format,
    resume,
    source::{self, definition::Definition},
};
use resume_queue::{JobId, JobState, enqueue_all};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Pipeline, Worker, collection_of, in_time};

const PEOPLE: u32 = 1_100;

/// A source of people, whose map says this.
fn definition(pipeline: &Pipeline, map: Value) -> Definition {
    let mut definition = Definition::original("people", &pipeline.mock.url(), "/api/v1/test-data", 1000);
    definition.format = Format::Mapped;
    definition.map = Some(serde_json::from_value(map).unwrap());
    definition.check().unwrap();
    definition
}

async fn put(pipeline: &Pipeline, map: Value) -> i32 {
    let mut conn = pipeline.pool.acquire().await.unwrap();
    source::put(&mut conn, &definition(pipeline, map)).await.unwrap();
    source::mapping(&pipeline.pool, "people").await.unwrap().unwrap().version
}

async fn collect(pipeline: &Pipeline) -> Uuid {
    let new = NewCollection { per_page: Some(100), batch_size: 50, ..collection_of(PEOPLE, "people") };
    pipeline.collect(&new).await
}

/// How many were read with another map, or could not be.
async fn outdated(pipeline: &Pipeline) -> i64 {
    let map = source::mapping(&pipeline.pool, "people").await.unwrap().unwrap();
    resume::count_outdated(&pipeline.pool, map.source_id, map.version).await.unwrap().unwrap()
}

async fn reparse(pipeline: &Pipeline) -> JobId {
    let version = source::mapping(&pipeline.pool, "people").await.unwrap().unwrap().version;
    let mut tx = db::begin(&pipeline.pool).await.unwrap();
    let id = resume::reparse(&mut tx, "people", version).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Waits until no document of an older map is left, and no job for them.
async fn until_read(pipeline: &Pipeline) {
    let waiting = async {
        while outdated(pipeline).await > 0 || live(pipeline).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    in_time("all are read again", waiting).await;
}

async fn live(pipeline: &Pipeline) -> i64 {
    let jobs = sqlx::query_scalar!(
        r#"select count(*) as "count!" from jobs where kind = 'reparse_source' and finished_at is null"#
    );
    jobs.fetch_one(&pipeline.pool).await.unwrap()
}

/// How many resumes have a headline, and how many have a skill.
async fn resumes(pipeline: &Pipeline) -> (i64, i64) {
    let row = sqlx::query!(
        r#"select count(document ->> 'headline') as "headlines!", count(*) filter (where skills <> '{}') as "skilled!"
           from resumes"#
    );
    let row = row.fetch_one(&pipeline.pool).await.unwrap();
    (row.headlines, row.skilled)
}

/// Collects with a map that finds nothing of use, and gives the collection and its worker.
async fn collected(pipeline: &Pipeline, map: Value) -> (Uuid, Worker) {
    put(pipeline, map).await;
    let worker = pipeline.worker();
    let id = collect(pipeline).await;
    pipeline.ended(id).await;
    (id, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_map_reads_what_is_there_without_a_call() {
    let pipeline = Pipeline::start().await;
    let (id, worker) = collected(&pipeline, json!({"name": "name"})).await;
    assert_eq!((resumes(&pipeline).await, outdated(&pipeline).await), ((0, 0), 0));
    let calls = pipeline.mock.ats().stats();

    let better = json!({"headline": "id", "skills": "skills"});
    assert_eq!(put(&pipeline, better.clone()).await, 1);
    assert_eq!(put(&pipeline, better).await, 1, "the same map has the same version");
    assert_eq!(outdated(&pipeline).await, i64::from(PEOPLE));
    assert_eq!(reparse(&pipeline).await, reparse(&pipeline).await, "one at a time");
    until_read(&pipeline).await;
    let people = i64::from(PEOPLE);
    assert_eq!(resumes(&pipeline).await, (people, people));
    assert_eq!(pipeline.mock.ats().stats(), calls, "nobody was called");
    let progress = pipeline.progress(id).await;
    assert_eq!((progress.collection.state, progress.counts.parsed), (CollectionState::Completed, people));

    // With nothing to do it ends at once.
    reparse(&pipeline).await;
    until_read(&pipeline).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_become_resumes_and_the_other_way_round() {
    let pipeline = Pipeline::start().await;
    // A map that finds nothing makes no resume.
    let (id, worker) = collected(&pipeline, json!({"skills": "nowhere"})).await;
    let progress = pipeline.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.parsed, progress.failed()), (0, i64::from(PEOPLE)));

    put(&pipeline, json!({"skills": "skills"})).await;
    reparse(&pipeline).await;
    until_read(&pipeline).await;
    let progress = pipeline.progress(id).await;
    assert_eq!((progress.collection.state, &progress.errors), (CollectionState::Completed, &Vec::new()));
    assert_eq!((progress.counts.parsed, progress.failed()), (i64::from(PEOPLE), 0));
    assert_eq!(resumes(&pipeline).await, (0, i64::from(PEOPLE)));

    for map in [json!({"skills": "no_such_member"}), json!({"skills": "nor_this"})] {
        put(&pipeline, map).await;
        reparse(&pipeline).await;
        until_read(&pipeline).await;
        let progress = pipeline.progress(id).await;
        assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
        assert_eq!(
            (progress.counts.parsed, progress.failed()),
            (0, i64::from(PEOPLE)),
            "once, however often they fail"
        );
        assert_eq!(progress.errors[0].count, i64::from(PEOPLE));
        assert_eq!(resumes(&pipeline).await, (0, i64::from(PEOPLE)), "the resumes stay");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_on_the_way_goes_on_from_the_checkpoint() {
    let pipeline = Pipeline::start().await;
    let (_, worker) = collected(&pipeline, json!({"name": "name"})).await;
    worker.stop().await;
    put(&pipeline, json!({"headline": "id"})).await;
    let first = reparse(&pipeline).await;
    let doomed = pipeline.worker();
    let after = async {
        while resumes(&pipeline).await.0 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("some are read", after).await;
    doomed.crash().await;
    let worker = pipeline.worker();
    until_read(&pipeline).await;
    worker.stop().await;
    assert_eq!(resumes(&pipeline).await.0, i64::from(PEOPLE));
    let jobs: BTreeMap<JobId, JobState> = sqlx::query!(
        r#"select id as "id!", state as "state!: JobState" from jobs where kind = 'reparse_source'"#
    )
    .fetch_all(&pipeline.pool)
    .await
    .unwrap()
    .into_iter()
    .map(|job| (job.id, job.state))
    .collect();
    assert!(jobs.contains_key(&first) && jobs.len() > 3, "some hundred in each: {jobs:?}");
    assert!(jobs.values().all(|state| *state == JobState::Completed), "{jobs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_map_that_changes_on_the_way_begins_anew() {
    let pipeline = Pipeline::start().await;
    let (_, worker) = collected(&pipeline, json!({"name": "name"})).await;
    put(&pipeline, json!({"headline": "id"})).await;
    // As if it had come to the last resume when the map changed.
    let last = sqlx::query_scalar!("select id from people order by external_id desc limit 1");
    let after_person = Some(last.fetch_one(&pipeline.pool).await.unwrap());
    let job = ReparseSource { source: "people".to_owned(), map_version: 0, after_person }.new_job().unwrap();
    enqueue_all(&mut pipeline.pool.acquire().await.unwrap(), &[job]).await.unwrap();
    until_read(&pipeline).await;
    worker.stop().await;
    assert_eq!(resumes(&pipeline).await.0, i64::from(PEOPLE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_may_run_meanwhile() {
    let pipeline = Pipeline::start().await;
    let (_, worker) = collected(&pipeline, json!({"name": "name"})).await;
    put(&pipeline, json!({"headline": "id"})).await;
    reparse(&pipeline).await;
    let other = NewCollection { seed: Some(8), per_page: Some(100), ..collection_of(300, "people") };
    let id = pipeline.collect(&other).await;
    let progress = pipeline.ended(id).await;
    until_read(&pipeline).await;
    worker.stop().await;
    assert_eq!((progress.collection.state, progress.counts.parsed), (CollectionState::Completed, 300));
    assert_eq!(resumes(&pipeline).await.0, i64::from(PEOPLE) + 300);
}
