//! Documents that do not parse, and those whose parser dies.

use std::{collections::BTreeMap, time::Duration};

use mock_ats::{Breakage, Face};
use resume_core::{
    collection::{CollectionState, NewCollection},
    parsing::{self, Format},
};

use crate::{
    harness::{JSON_RESUMES, NEXT_LINK, NUMBERED, Pipeline, SEED, collection_of},
    outcome::{Documents, Outcome, people},
};

#[tokio::test(flavor = "multi_thread")]
async fn broken_people_are_listed_and_their_neighbours_parsed() {
    lists_the_broken(NUMBERED, Face::TestData).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_people_behind_next_links() {
    lists_the_broken(NEXT_LINK, Face::TestData).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_json_resumes() {
    lists_the_broken(JSON_RESUMES, Face::JsonResumes).await;
}

async fn lists_the_broken(source: &str, face: Face) {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let new = NewCollection { error_mode: true, ..collection_of(200, source) };
    let id = pipeline.collect(&new).await;
    let outcome = pipeline.outcome(id).await;

    let breakages: Vec<Breakage> =
        (0..200).filter_map(|index| mock_ats::breakage(SEED.into(), index)).collect();
    assert_eq!(breakages.len(), 40);
    // A broken section costs itself, not the person.
    let is_fatal = |breakage: &&Breakage| {
        matches!(breakage, Breakage::IdMissing | Breakage::IdNull | Breakage::NotAnObject)
    };
    let broken = breakages.iter().filter(is_fatal).count() as i64;
    let expected = codes(face);
    assert_eq!(expected.values().sum::<i64>(), broken, "every broken person has a code, and nobody else");
    assert_eq!(outcome.errors.iter().cloned().collect::<BTreeMap<_, _>>(), expected);
    let documents = Documents { stored: 200, unchanged: 0, parsed: 200 - broken, failed: broken };
    let smooth = Outcome::smooth(20, 200);
    let errors = outcome.errors.clone();
    assert_eq!(outcome, Outcome { state: CollectionState::CompletedWithErrors, documents, errors, ..smooth });
    assert_eq!(pipeline.resumes(source).await, people(face, SEED.into(), 200, true));

    let progress = pipeline.progress(id).await;
    assert!(progress.errors.is_sorted_by_key(|error| -error.count), "{:?}", progress.errors);
    for error in &progress.errors {
        assert!(error.sample.starts_with("document "), "{error:?}");
    }
    worker.stop().await;
}

/// The codes that these people must fail with, and how often.
fn codes(face: Face) -> BTreeMap<String, i64> {
    let format = if face == Face::TestData { Format::Profile } else { Format::JsonResume };
    let mut codes = BTreeMap::new();
    for index in 0..200 {
        let item = mock_ats::item(face, SEED.into(), index, true);
        let external_id = parsing::id_at(item.as_bytes(), "/id");
        if let Err(error) = parsing::parse(format, external_id.as_deref(), item.as_bytes()) {
            *codes.entry(error.code.as_str().to_owned()).or_default() += 1;
        }
    }
    codes
}

/// A job that takes its worker down with it each time ends as a dead letter, and its collection ends too.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_kill_their_worker_are_given_up() {
    let pipeline = Pipeline::start().await;
    let doomed = pipeline.slow_worker(Duration::from_secs(600));
    let id = pipeline.collect(&collection_of(20, NUMBERED)).await;
    pipeline.until(id, "both pages are stored", |progress| progress.counts.done == 2).await;
    // As if the crash to come were the last of six.
    assert_eq!(pipeline.allow_one_attempt("parse_documents").await, 4);
    pipeline.until_running("parse_documents", 4).await;
    doomed.crash().await;

    let worker = pipeline.worker();
    let outcome = pipeline.outcome(id).await;
    let smooth = Outcome::smooth(2, 20);
    assert_eq!(
        outcome,
        Outcome {
            state: CollectionState::CompletedWithErrors,
            documents: Documents { parsed: 0, failed: 20, ..smooth.documents },
            errors: vec![("parser_crashed".to_owned(), 20)],
            ..smooth
        }
    );
    let sample = &pipeline.progress(id).await.errors[0].sample;
    assert!(sample.contains("worker died"), "{sample}");
    assert_eq!(pipeline.jobs("parse_documents").await, BTreeMap::from([("discarded".to_owned(), 4)]));
    assert_eq!(pipeline.jobs("settle_discarded").await, BTreeMap::from([("completed".to_owned(), 4)]));
    worker.stop().await;
}
