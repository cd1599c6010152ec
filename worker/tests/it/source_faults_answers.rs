//! Answers that are no pages: the exact end of a collection whose source refuses, grows, explodes or sends us
//! elsewhere.

use std::time::{Duration, Instant};

use mock_ats::{Api, Ats, Face, FaultKind, MockServer, Pages as OnPages, Settings, Times};
use resume_core::{
    call_limit::{self, Circuit},
    collection::{CollectionState, Progress},
};

use crate::{
    harness::{NUMBERED, Pipeline, SEED, collection_of, in_time},
    outcome::{Calls, Documents, Outcome, Pages, people},
    source_faults::{Faulty, PEOPLE, made, tell_count},
};

/// A clock that is an hour late or early asks for a second all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_date_to_come_back_at_is_read_by_the_clock_of_the_source() {
    for clock_skew_seconds in [-3600, 3600] {
        let pipeline = Pipeline::start().await;
        let kind = FaultKind::RateLimitedUntil { retry_after_seconds: 2, clock_skew_seconds };
        pipeline.set_fault(kind, OnPages::One(2), Times::First(1));
        let worker = pipeline.worker();
        let begun = Instant::now();
        let id = pipeline.collect(&collection_of(30, NUMBERED)).await;
        let outcome = pipeline.outcome(id).await;
        assert!((Duration::from_secs(2)..Duration::from_secs(20)).contains(&begun.elapsed()));
        let calls = Calls { made: 4, rate_limited: 1 };
        assert_eq!(outcome, Outcome { calls, ..Outcome::smooth(3, 30) }, "{clock_skew_seconds}");
        assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 30, false));
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_ten_megabytes_is_stored() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::HugePage, OnPages::One(2), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(30, NUMBERED)).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(3, 30));
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 30, false));
    worker.stop().await;
}

/// One that would become 134 MB is given up at 16, and not asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_is_given_up_before_it_goes_off() {
    let pipeline = Pipeline::start_alone(u32::MAX, 1000).await;
    pipeline.set_fault(FaultKind::GzipBomb, OnPages::One(2), Times::Always);
    let worker = pipeline.worker();
    let before = forget_peak();
    let id = pipeline.collect(&collection_of(30, NUMBERED)).await;
    let failed = Outcome {
        state: CollectionState::CompletedWithErrors,
        pages: Pages { expected: 3, fetched: 2, failed: 1 },
        documents: Documents { stored: 20, unchanged: 0, parsed: 20, failed: 0 },
        calls: made(3),
        errors: vec![("page_too_large".to_owned(), 1)],
    };
    assert_eq!(pipeline.outcome(id).await, failed);
    let grown_kb = memory_kb("VmHWM:").saturating_sub(before);
    assert!(grown_kb < 50_000, "{grown_kb} kB more");
    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.continue_collection(id).await, 1);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: made(4), ..Outcome::smooth(3, 30) });
    assert_eq!(pipeline.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 30, false));
    worker.stop().await;
}

/// Lets the peak of this process's memory be that of now, which it gives.
fn forget_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    memory_kb("VmRSS:")
}

fn memory_kb(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Nobody is asked at the other host, least of all with the credential.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_is_not_followed() {
    let other = MockServer::start(Ats::new(Settings::without_latency())).await.unwrap();
    let faulty = Faulty::start(Api::Lever).await;
    faulty.set_fault(FaultKind::Redirect(other.address()), OnPages::One(1), Times::Always);
    let id = faulty.collect().await;
    // It could be for a while, and would be tried for as long as an error is.
    assert_eq!(faulty.pipeline.allow_one_attempt("make_call").await, 1);
    let worker = faulty.pipeline.worker();
    let progress = faulty.pipeline.ended(id).await;
    assert_eq!(progress.collection.state, CollectionState::Failed);
    assert_eq!((progress.counts.made, progress.counts.done, progress.counts.failed_calls), (1, 0, 1));
    let errors: Vec<_> = progress.errors.iter().map(|error| (error.code.as_str(), error.count)).collect();
    assert_eq!(errors, [("source_redirected", 1)]);
    let sample =
        "page 1: the source redirects (302 Found) to 127.0.0.1: write its address of today into base_url";
    assert_eq!(progress.errors[0].sample, sample);
    assert_eq!((other.ats().stats().calls, other.ats().api_stats(Api::Lever).calls), (0, 0));

    faulty.end_faults();
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome, Outcome { calls: made(4), ..Outcome::smooth(3, 25) });
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

/// Three calls in a row find the credential refused. Then the source is left in peace, and a new credential
/// lets all pages come: that the key was wrong is no fault of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_replaced_in_the_middle_is_read_anew() {
    // One after the other: so many calls are denied as it takes to open the circuit.
    let faulty = Faulty::start_with(Api::Recruitee, |definition| {
        tell_count(definition);
        definition.concurrency = Some(1);
    })
    .await;
    faulty.pipeline.mock.ats().set_people(faulty.api, 200);
    faulty.set_fault(FaultKind::CredentialsRotate, OnPages::One(3), Times::First(1));
    let worker = faulty.pipeline.worker();
    let id = faulty.pipeline.collect(&collection_of(200, faulty.api.name())).await;
    assert_eq!(faulty.failures_that_open_the_circuit().await, (3, 1));
    let waiting = |p: &Progress| p.collection.state == CollectionState::WaitingForSource;
    faulty.pipeline.until(id, "the collection waits", waiting).await;

    faulty.put_key("mock-key-2");
    let outcome = faulty.pipeline.outcome(id).await;
    let denied = faulty.pipeline.mock.ats().api_stats(faulty.api).unauthorized;
    assert!(denied >= 3, "{denied}");
    let calls = made(20 + i64::try_from(denied).unwrap());
    assert_eq!(outcome, Outcome { calls, ..Outcome::smooth(20, 200) });
    faulty.assert_people(200, &outcome).await;
    worker.stop().await;
}

/// A chain has one page at a time, whose attempts are not used up while nobody has put the new credential in
/// place.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_waits_for_its_credential() {
    let faulty = Faulty::start(Api::Workable).await;
    faulty.set_fault(FaultKind::CredentialsRotate, OnPages::One(2), Times::First(1));
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    faulty.failures_that_open_the_circuit().await;
    let waiting = |p: &Progress| p.collection.state == CollectionState::WaitingForSource;
    let progress = faulty.pipeline.until(id, "the collection waits", waiting).await;
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (1, 0));

    faulty.put_key("mock-key-2");
    call_limit::release(&mut faulty.pipeline.pool.acquire().await.unwrap(), faulty.api.name()).await.unwrap();
    let outcome = faulty.pipeline.outcome(id).await;
    let denied = i64::try_from(faulty.pipeline.mock.ats().api_stats(faulty.api).unauthorized).unwrap();
    assert_eq!(outcome, Outcome { calls: made(3 + denied), ..Outcome::smooth(3, 25) });
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

impl Faulty {
    /// Waits until the circuit is open; gives how many calls have failed, and how often it opened.
    async fn failures_that_open_the_circuit(&self) -> (i64, i64) {
        let open = async {
            loop {
                let state = call_limit::state(&self.pipeline.pool, self.api.name()).await.unwrap();
                if let Some(state) = state.filter(|state| matches!(state.circuit, Circuit::Open(_))) {
                    return (state.failed, state.openings);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time("the circuit opens", open).await
    }
}
