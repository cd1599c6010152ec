//! Files that belong to items: fetched in the run, from hosts that are allowed, and once more when their
//! address has expired.

use mock_ats::{Api, FILES_FROM, FaultKind, Pages as OnPages, Times};
use resume_core::{
    attachment,
    collection::{CollectionState, NewCollection, Progress},
    source::definition::Definition,
};

use crate::{
    harness::{collection_of, in_time},
    outcome::{Documents, Outcome, Pages},
    source_faults::{Faulty, PEOPLE, made},
};

const API: Api = Api::GreenhouseV1;

/// Of 25 people, one in twenty has a resume: the eighth. One page of three has it.
const LISTS: i64 = 3;

fn elsewhere(definition: &mut Definition) {
    definition.attachments.as_mut().unwrap().hosts = vec!["localhost".to_owned()];
}

async fn files(faulty: &Faulty) -> Vec<(String, String, Vec<u8>)> {
    let documents = sqlx::query_scalar!("select id from raw_documents order by id");
    let mut files = Vec::new();
    for document in documents.fetch_all(&faulty.pipeline.pool).await.unwrap() {
        for found in attachment::list(&faulty.pipeline.pool, document).await.unwrap() {
            let sha256 = found.sha256.try_into().unwrap();
            let file = attachment::find(&faulty.pipeline.pool, &sha256).await.unwrap().unwrap();
            assert_eq!((file.media_type, file.bytes.len()), (found.media_type.clone(), found.size as usize));
            files.push((found.name, found.media_type, file.bytes));
        }
    }
    files
}

fn resume() -> Vec<(String, String, Vec<u8>)> {
    let bytes = b"%PDF-1.4\n% resume 7\n%%EOF\n".to_vec();
    vec![("resume.pdf".to_owned(), "application/pdf".to_owned(), bytes)]
}

/// Collects everything, whether or not it has changed.
async fn ended(faulty: &Faulty) -> Progress {
    let worker = faulty.pipeline.worker();
    let id = faulty.pipeline.collect(&NewCollection { full: true, ..collection_of(1000, API.name()) }).await;
    let progress = faulty.pipeline.ended(id).await;
    worker.stop().await;
    progress
}

/// The mock refuses a credential there with 400, as S3 does.
#[tokio::test(flavor = "multi_thread")]
async fn attachments_on_another_host_are_fetched_without_credentials() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    let (outcome, _) = faulty.collected().await;
    assert_eq!(outcome, Outcome::smooth(LISTS + 1, PEOPLE.into()));
    faulty.assert_people(PEOPLE, &outcome).await;
    assert_eq!(files(&faulty).await, resume());
    assert_eq!(faulty.pipeline.mock.ats().api_stats(API).rejected, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_not_called_unless_they_are_allowed() {
    let faulty = Faulty::start_in_full(API, |_| ()).await;
    let progress = ended(&faulty).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!(
        (progress.counts.parsed, progress.counts.made, progress.counts.failed_calls),
        (PEOPLE.into(), LISTS, 1)
    );
    assert_eq!(progress.errors[0].code, "attachment_foreign");
    let sample = &progress.errors[0].sample;
    assert!(sample.starts_with("attachment resume.pdf of 8: the attachment is on localhost, "), "{sample}");
    assert_eq!(files(&faulty).await, []);
}

/// The page of the list is read once more, for fresh addresses and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_has_expired_is_asked_for_again() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    // That of the first page, on which the address stands.
    faulty.pipeline.mock.ats().set_void_signatures(API, 1);
    let (outcome, _) = faulty.collected().await;
    let smooth = Outcome::smooth(LISTS + 1, PEOPLE.into());
    // The lists, the expired address, the list again, the fresh address.
    assert_eq!(outcome, Outcome { calls: made(LISTS + 3), ..smooth });
    faulty.assert_people(PEOPLE, &outcome).await;
    assert_eq!(files(&faulty).await, resume());
    let documents = sqlx::query_scalar!(r#"select count(*) as "count!" from raw_documents"#);
    assert_eq!(documents.fetch_one(&faulty.pipeline.pool).await.unwrap(), i64::from(PEOPLE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_that_is_gone_is_listed_and_its_item_stays() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    faulty.pipeline.mock.ats().set_void_signatures(API, u64::MAX);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let expected = Outcome {
        state: CollectionState::CompletedWithErrors,
        pages: Pages { expected: LISTS + 1, fetched: LISTS, failed: 1 },
        documents: Documents { stored: 25, unchanged: 0, parsed: 25, failed: 0 },
        calls: made(LISTS + 3),
        errors: vec![("attachment_gone".to_owned(), 1)],
    };
    assert_eq!(faulty.pipeline.outcome(id).await, expected);

    // A resume asks for a fresh address again.
    faulty.pipeline.mock.ats().set_void_signatures(API, 0);
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!((outcome.state, outcome.pages.failed), (CollectionState::Completed, 0));
    faulty.assert_people(PEOPLE, &outcome).await;
    assert_eq!(files(&faulty).await, resume());
    worker.stop().await;
}

/// What a host of files answers says nothing of the source: its circuit stays closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_files_that_fails_does_not_stop_the_source() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    faulty.set_fault(FaultKind::Status(500), OnPages::One(FILES_FROM + 7), Times::First(1));
    let (outcome, _) = faulty.collected().await;
    let smooth = Outcome::smooth(LISTS + 1, PEOPLE.into());
    assert_eq!(outcome, Outcome { calls: made(LISTS + 2), ..smooth });
    assert_eq!(files(&faulty).await, resume());
    let state = resume_core::call_limit::state(&faulty.pipeline.pool, API.name()).await.unwrap().unwrap();
    assert_eq!(state.failed, 0);
}

/// Its limits are nobody's to keep, and it is not waited for without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_files_that_refuses_every_call_is_given_up() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    let kind = FaultKind::RateLimited { retry_after_seconds: 0 };
    faulty.set_fault(kind, OnPages::One(FILES_FROM + 7), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let attempts_of_the_file = async || {
        let jobs = sqlx::query_scalar!(
            r#"
            select max(j.attempt) as "attempt!" from jobs j join calls c on c.id = (j.args->>'call_id')::bigint
            where j.kind = 'make_call' and c.step = 'attachment'
            having max(j.attempt) > 1
            "#
        );
        jobs.fetch_optional(&faulty.pipeline.pool).await.unwrap()
    };
    let tried = async {
        while attempts_of_the_file().await.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    in_time("a refused attempt is used up", tried).await;
    faulty.pipeline.allow_one_attempt("make_call").await;
    let progress = faulty.pipeline.ended(id).await;
    assert_eq!(
        (progress.collection.state, progress.counts.failed_calls),
        (CollectionState::CompletedWithErrors, 1)
    );
    assert_eq!(progress.errors[0].code, "source_http_429");
    let state = resume_core::call_limit::state(&faulty.pipeline.pool, API.name()).await.unwrap().unwrap();
    assert_eq!((state.refused, state.silences, state.failed), (0, 0, 0));
    worker.stop().await;
}

/// The signature in its address makes the item another one each time; the file is the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_is_kept_once() {
    let faulty = Faulty::start_in_full(API, elsewhere).await;
    for _ in 0..2 {
        let progress = ended(&faulty).await;
        assert_eq!(
            (progress.collection.state, progress.counts.made),
            (CollectionState::Completed, LISTS + 1)
        );
    }
    assert_eq!(files(&faulty).await.len(), 2);
    let kept = sqlx::query_scalar!(r#"select count(*) as "count!" from attachments"#);
    assert_eq!(kept.fetch_one(&faulty.pipeline.pool).await.unwrap(), 1);
}
