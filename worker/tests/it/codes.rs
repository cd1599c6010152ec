//! A failed job says the code of its failure, by which people find and retry it.

use mock_ats::{FaultKind, Pages, Times};
use resume_core::{
    collection::{CollectionState, Progress},
    jobs::MakeCall,
    source::{
        self,
        definition::{Auth, Definition, Secret},
    },
};
use resume_queue::Job;
use uuid::Uuid;

use crate::harness::{NUMBERED, Pipeline, collection_of};

impl Pipeline {
    /// What the queue says of the only page of a collection: state, attempts, code and error.
    async fn page_job(&self, id: Uuid) -> (String, i32, String, String) {
        let job = sqlx::query!(
            r#"select state::text as "state!", attempt as "attempt!", last_error_code as "code!",
                      last_error as "error!"
               from jobs where kind = $1 and collection_id = $2"#,
            MakeCall::KIND,
            id.to_string()
        );
        let job = job.fetch_one(&self.pool).await.unwrap();
        (job.state, job.attempt, job.code, job.error)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_gives_its_code_to_its_job() {
    let pipeline = Pipeline::start().await;
    for (fault, code) in [
        (FaultKind::Status(404), "source_http_404"),
        (FaultKind::Status(503), "source_http_503"),
        (FaultKind::InvalidJson, "page_invalid_json"),
        (FaultKind::CutBody, "source_unreachable"),
    ] {
        pipeline.set_fault(fault, Pages::All, Times::Always);
        let id = pipeline.collect(&collection_of(5, NUMBERED)).await;
        pipeline.allow_one_attempt(MakeCall::KIND).await;
        let worker = pipeline.worker();
        let progress = pipeline.ended(id).await;
        worker.stop().await;
        assert_eq!(progress.collection.state, CollectionState::Failed);
        let (state, attempt, of_job, _) = pipeline.page_job(id).await;
        assert_eq!((state.as_str(), attempt, of_job.as_str()), ("discarded", 1, code));
    }
}

/// Trying again would not set it: the first attempt is the last, and says what to set where.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_told_at_once() {
    let pipeline = Pipeline::start().await;
    for (name, reference, what) in [
        (
            "of-variable",
            "env:RESUME_SECRET_THAT_NOBODY_SET",
            "set the variable RESUME_SECRET_THAT_NOBODY_SET",
        ),
        ("of-file", "file:/that-nobody-wrote", "there is no file /that-nobody-wrote in "),
    ] {
        let mut definition = Definition::original(name, &pipeline.mock.url(), "/api/v1/test-data", 1000);
        definition.auth = vec![Auth::Bearer(Secret::new(reference.to_owned()))];
        source::put(&mut pipeline.pool.acquire().await.unwrap(), &definition).await.unwrap();
        let id = pipeline.collect(&collection_of(5, name)).await;
        let worker = pipeline.worker();
        let progress = pipeline.ended(id).await;
        worker.stop().await;
        assert_eq!(progress.errors[0].code, "secret_missing");
        let (state, attempt, code, error) = pipeline.page_job(id).await;
        assert_eq!((state.as_str(), attempt, code.as_str()), ("discarded", 1, "secret_missing"));
        assert!(error.contains(what) && error.contains("(this worker: "), "{error}");
        assert!(error.contains(&format!(":{})", std::process::id())), "{error}");
    }
}

/// What keeps a collection back is told with its code and with the time of the next try: a source that fails,
/// and a payload that only a newer worker understands.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_says_what_went_wrong_and_when_it_is_tried_again() {
    let pipeline = Pipeline::start().await;
    let waiting = async |id: Uuid, code: &str| {
        let is_told = |progress: &Progress| {
            let announced = progress.waiting.iter().find(|waiting| waiting.code == code);
            announced.is_some_and(|waiting| waiting.next_try_at.is_some())
        };
        let progress = pipeline.until(id, "it is told", is_told).await;
        progress.waiting.into_iter().find(|waiting| waiting.code == code).unwrap().message
    };
    pipeline.set_fault(FaultKind::Status(503), Pages::All, Times::Always);
    let failing = pipeline.collect(&collection_of(5, NUMBERED)).await;
    let worker = pipeline.worker();
    let message = waiting(failing, "source_http_503").await;
    assert!(message.starts_with("page 1: the source answered 503"), "{message}");

    let newer = pipeline.collect(&collection_of(5, NUMBERED)).await;
    sqlx::query!(
        r#"update queue.live_jobs set args = args || '{"call_id": "of a newer version"}'
           where args ->> 'collection_id' = $1"#,
        newer.to_string()
    )
    .execute(&pipeline.pool)
    .await
    .unwrap();
    let message = waiting(newer, "undecodable_payload").await;
    assert!(message.contains("(make_call): the payload does not decode"), "{message}");
    worker.stop().await;
}
