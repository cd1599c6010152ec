//! People who are erased between two runs.

use mock_ats::Api;
use resume_core::{
    collection::{CollectionState, NewCollection},
    db,
    erasure::Key,
    person::{self, Whom},
    source::definition::Definition,
};
use uuid::Uuid;

use crate::{
    harness::collection_of,
    source_faults::{Faulty, PEOPLE},
};

const API: Api = Api::GreenhouseV1;

/// Of the people of the mock the one who has a file.
const INDEX: u64 = 7;

fn key() -> Key {
    Key::new(&[b'k'; 32]).unwrap()
}

async fn erase(faulty: &Faulty, external_id: &str) {
    let mut tx = db::begin(&faulty.pipeline.pool).await.unwrap();
    let whom = Whom::Person { source: API.name(), external_id };
    let erased = person::erase(&mut tx, &key(), whom).await.unwrap();
    assert_eq!((erased.documents, erased.attachments), (1, 1));
    tx.commit().await.unwrap();
}

async fn collect(faulty: &Faulty) -> Uuid {
    let new = NewCollection { full: true, ..collection_of(1000, API.name()) };
    faulty.pipeline.collect(&new).await
}

fn elsewhere(definition: &mut Definition) {
    definition.attachments.as_mut().unwrap().hosts = vec!["localhost".to_owned()];
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_an_erasure_brings_everybody_else() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    let pipeline = &faulty.pipeline;
    let worker = pipeline.worker_with_key(key());
    let first = pipeline.ended(collect(&faulty).await).await;
    assert_eq!(first.collection.state, CollectionState::Completed, "{:?}", first.errors);
    erase(&faulty, &API.external_id(INDEX)).await;
    let second = pipeline.ended(collect(&faulty).await).await;
    assert_eq!(second.collection.state, CollectionState::Completed, "{:?}", second.errors);
    let counts = second.counts;
    assert_eq!((counts.stored, counts.unchanged, counts.erased), (0, i64::from(PEOPLE) - 1, 1));
    assert_eq!(pipeline.resumes(API.name()).await.len(), PEOPLE as usize - 1);
    worker.stop().await;
}

/// Its pages wait, and use up no attempt, until there is a worker with the key.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_key_keeps_the_pages_of_new_people() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    let pipeline = &faulty.pipeline;
    let worker = pipeline.worker();
    pipeline.ended(collect(&faulty).await).await;
    erase(&faulty, &API.external_id(INDEX)).await;
    let id = collect(&faulty).await;
    let waits = pipeline.until(id, "it tells of the key", |progress| {
        progress.errors.iter().any(|error| error.code == "erasure_key_missing")
    });
    let progress = waits.await;
    assert!(!progress.collection.state.is_over());
    assert!(progress.errors[0].sample.contains("RESUME_ERASURE_KEY_FILE"), "{:?}", progress.errors);
    worker.stop().await;
    assert_eq!(pipeline.most_attempts("make_call").await, 1, "no attempt was used up");

    let worker = pipeline.worker_with_key(key());
    let due = sqlx::query!("update queue.live_jobs set run_at = now() where kind = 'make_call'");
    due.execute(&pipeline.pool).await.unwrap();
    let progress = pipeline.ended(id).await;
    assert_eq!(progress.collection.state, CollectionState::Completed, "{:?}", progress.errors);
    assert_eq!(progress.counts.erased, 1);
    worker.stop().await;
}
