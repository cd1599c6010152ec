//! Lists that do what lists do: the exact end of a collection whose source leads astray, and every item once.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use mock_ats::{Api, Fault, FaultKind, Pages as OnPages, Times};
use resume_core::{
    collection::{CollectionState, Progress},
    source::{
        self,
        definition::{Auth, Definition, Interval, Limit, Secret},
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    harness::{Pipeline, collection_of},
    outcome::{Calls, Documents, Outcome},
};

/// Ten a page: two full pages and a half.
pub(crate) const PEOPLE: u32 = 25;

/// A pipeline with one of the mock's APIs as a source, by its shipped definition, with no limit worth the
/// name and the credential in a file.
pub(crate) struct Faulty {
    pub(crate) pipeline: Pipeline,
    secrets: TempDir,
    pub(crate) api: Api,
}

impl Faulty {
    /// A list of [`PEOPLE`].
    pub(crate) async fn start(api: Api) -> Self {
        Self::start_with(api, |_| ()).await
    }

    /// As [`Faulty::start`], by a definition that is changed. It has no details and attachments, and hides
    /// nobody: most of these tests are about lists.
    pub(crate) async fn start_with(api: Api, change: impl FnOnce(&mut Definition)) -> Self {
        let of_lists = |definition: &mut Definition| {
            definition.detail = None;
            definition.attachments = None;
            definition.list.deleted = None;
            change(definition);
        };
        Self::start_in_full(api, of_lists).await
    }

    /// As [`Faulty::start`], by a definition that is whole but for this change.
    pub(crate) async fn start_in_full(api: Api, change: impl FnOnce(&mut Definition)) -> Self {
        let pipeline = Pipeline::start().await;
        let secrets = tempfile::tempdir().unwrap();
        let ats = pipeline.mock.ats();
        ats.set_people(api, PEOPLE);
        ats.set_api_calls(api, 100_000);
        let mut definition = shipped(api, &pipeline.mock.url(), &secrets.path().join("key"));
        change(&mut definition);
        definition.check().unwrap();
        let mut conn = pipeline.pool.acquire().await.unwrap();
        source::put(&mut conn, &definition).await.unwrap();
        drop(conn);
        let faulty = Self { pipeline, secrets, api };
        std::fs::write(faulty.secrets.path().join("client"), "mock-client").unwrap();
        faulty.put_key("mock-key");
        faulty
    }

    pub(crate) fn put_key(&self, key: &str) {
        let new = self.secrets.path().join("new");
        std::fs::write(&new, key).unwrap();
        std::fs::rename(new, self.secrets.path().join("key")).unwrap();
    }

    pub(crate) fn set_fault(&self, kind: FaultKind, pages: OnPages, times: Times) {
        self.pipeline.mock.ats().set_api_faults(self.api, [Fault::new(kind, pages, times)]);
    }

    pub(crate) fn end_faults(&self) {
        self.pipeline.mock.ats().set_api_faults(self.api, []);
    }

    /// Collects more than there are.
    pub(crate) async fn collect(&self) -> Uuid {
        self.pipeline.collect(&collection_of(1000, self.api.name())).await
    }

    /// Collects to the end; gives its numbers, and whether they are all that the source listed.
    pub(crate) async fn collected(&self) -> (Outcome, Option<bool>) {
        let worker = self.pipeline.worker();
        let id = self.collect().await;
        let outcome = self.pipeline.outcome(id).await;
        let is_complete = self.pipeline.progress(id).await.is_complete;
        worker.stop().await;
        (outcome, is_complete)
    }

    /// The first `count` people of the list are there, each once, and nobody else. With a look at the calls,
    /// which the mock has counted too.
    pub(crate) async fn assert_people(&self, count: u32, outcome: &Outcome) {
        let resumes = self.pipeline.resumes(self.api.name()).await;
        let expected: BTreeSet<String> = (0..count.into()).map(|index| self.api.external_id(index)).collect();
        assert_eq!(resumes.into_keys().collect::<BTreeSet<_>>(), expected, "{:?}", self.api);
        assert_eq!(outcome.calls.made, self.pipeline.mock.ats().api_stats(self.api).calls as i64);
    }
}

/// The definition that is shipped for an API, for the mock.
fn shipped(api: Api, mock_url: &str, key: &Path) -> Definition {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sources");
    let text = std::fs::read_to_string(folder.join(format!("{}.yaml", api.name()))).unwrap();
    let mut definition = Definition::from_yaml(&text).unwrap();
    definition.base_url = format!("{mock_url}/mock/{}", api.name());
    definition.allow_private_network = true;
    definition.limits = vec![Limit { calls: 1000, per: Interval(Duration::from_secs(1)), burst: 1 }];
    for auth in &mut definition.auth {
        match auth {
            Auth::Basic { user: secret, .. } | Auth::Bearer(secret) | Auth::Header { value: secret, .. } => {
                *secret = Secret::new(format!("file:{}", key.display()));
            }
            Auth::ClientCredentials { token_url, client_id, client_secret, .. } => {
                *token_url = format!("{}/token", definition.base_url);
                *client_id = Secret::new(format!("file:{}", key.with_file_name("client").display()));
                *client_secret = Secret::new(format!("file:{}", key.display()));
            }
            other => panic!("{other:?} is not for this test"),
        }
    }
    definition
}

/// Lets the source be told how many items are wanted.
pub(crate) fn tell_count(definition: &mut Definition) {
    let count = serde_json::from_value(serde_json::json!("{count}")).unwrap();
    definition.list.params.insert("count".to_owned(), count);
}

pub(crate) fn made(calls: i64) -> Calls {
    Calls { made: calls, rate_limited: 0 }
}

fn one(code: &str) -> Vec<(String, i64)> {
    vec![(code.to_owned(), 1)]
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_are_repeated_are_stored_once() {
    // Half of the page before, again and again; one item, because somebody came in at the head of the list.
    let repeats = (FaultKind::RepeatItems, OnPages::All, 10);
    let shift = (FaultKind::ItemsShift, OnPages::One(2), 1);
    for (api, (kind, pages, unchanged)) in
        [(Api::Lever, repeats), (Api::Lever, shift), (Api::Ashby, repeats), (Api::Workable, shift)]
    {
        let faulty = Faulty::start(api).await;
        faulty.set_fault(kind, pages, Times::Always);
        let (outcome, _) = faulty.collected().await;
        let documents = Documents { stored: 25, unchanged, parsed: 25, failed: 0 };
        assert_eq!(outcome, Outcome { documents, ..Outcome::smooth(3, 25) }, "{api:?}, {kind:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
    }
}

/// A token that was used before ends the chain. That of the first page was not: we asked for it without one.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_go_in_a_circle_end_the_collection() {
    for api in [Api::Lever, Api::Ashby] {
        let faulty = Faulty::start(api).await;
        faulty.set_fault(FaultKind::NextLoops, OnPages::One(3), Times::Always);
        let (outcome, _) = faulty.collected().await;
        let expected = Outcome {
            state: CollectionState::CompletedWithErrors,
            documents: Documents { stored: 25, unchanged: 10, parsed: 25, failed: 0 },
            errors: one("next_link_loop"),
            ..Outcome::smooth(4, 25)
        };
        assert_eq!(outcome, expected, "{api:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
    }
}

/// A chain without end, on which no address comes twice, goes no further than was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_end_is_cut() {
    for api in [Api::Lever, Api::Ashby, Api::Workable] {
        let faulty = Faulty::start(api).await;
        faulty.set_fault(FaultKind::NextEndless, OnPages::All, Times::Always);
        let worker = faulty.pipeline.worker();
        let id = faulty.pipeline.collect(&collection_of(60, api.name())).await;
        let outcome = faulty.pipeline.outcome(id).await;
        let documents = Documents { stored: 25, unchanged: 35, parsed: 25, failed: 0 };
        assert_eq!(outcome, Outcome { documents, ..Outcome::smooth(6, 25) }, "{api:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
        worker.stop().await;
    }
}

/// A source that was told how many are wanted should end by itself. What brings twice as many is an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_should_have_ended_is_an_error() {
    let faulty = Faulty::start_with(Api::Workable, tell_count).await;
    faulty.set_fault(FaultKind::NextEndless, OnPages::All, Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.pipeline.collect(&collection_of(30, Api::Workable.name())).await;
    let outcome = faulty.pipeline.outcome(id).await;
    // Twice thirty people, and ten pages.
    let expected = Outcome {
        state: CollectionState::CompletedWithErrors,
        documents: Documents { stored: 25, unchanged: 135, parsed: 25, failed: 0 },
        errors: one("next_link_endless"),
        ..Outcome::smooth(16, 25)
    };
    assert_eq!(outcome, expected);
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_missing_once_is_asked_for_again() {
    for api in [Api::Lever, Api::Ashby] {
        let faulty = Faulty::start(api).await;
        faulty.set_fault(FaultKind::NextMissing, OnPages::One(2), Times::First(1));
        let (outcome, _) = faulty.collected().await;
        assert_eq!(outcome, Outcome { calls: made(4), ..Outcome::smooth(3, 25) }, "{api:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
    }
}

/// "There is more" without a token is no end of the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_stays_missing_is_an_error_and_no_end() {
    let faulty = Faulty::start(Api::Lever).await;
    faulty.set_fault(FaultKind::NextMissing, OnPages::One(2), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let has_failed = |p: &Progress| p.errors.iter().any(|error| error.code == "next_token_missing");
    faulty.pipeline.until(id, "the token is missed", has_failed).await;
    // The attempt that comes now is the last one.
    assert_eq!(faulty.pipeline.allow_one_attempt("make_call").await, 1);
    let progress = faulty.pipeline.ended(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.done, progress.counts.failed_calls, progress.counts.parsed), (1, 1, 10));
    assert_eq!((progress.errors.len(), progress.errors[0].count), (1, 1));
    assert_eq!(progress.errors[0].code, "next_token_missing");

    faulty.end_faults();
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome, Outcome { calls: made(progress.counts.made + 2), ..Outcome::smooth(3, 25) });
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

/// The list is read anew from its beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_expires_in_the_middle_costs_calls_and_no_item() {
    let faulty = Faulty::start(Api::Ashby).await;
    faulty.set_fault(FaultKind::CursorExpired, OnPages::One(2), Times::First(1));
    let (outcome, _) = faulty.collected().await;
    assert_eq!((outcome.state, &outcome.errors), (CollectionState::Completed, &Vec::new()));
    assert_eq!((outcome.documents.stored, outcome.documents.parsed, outcome.documents.failed), (25, 25, 0));
    faulty.assert_people(PEOPLE, &outcome).await;
}

/// The second version of an item is kept beside the first one, and is what the resume is made of.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_changes_between_pages_has_its_later_version() {
    // The headline, which is what changes, in the place of the name.
    let headline_as_name = |definition: &mut Definition| {
        let map = definition.map.as_mut().unwrap();
        map.name = map.headline.take();
    };
    let faulty = Faulty::start_with(Api::Lever, headline_as_name).await;
    faulty.set_fault(FaultKind::ItemChanges, OnPages::One(2), Times::Always);
    let (outcome, _) = faulty.collected().await;
    let documents = Documents { stored: 26, unchanged: 0, parsed: 26, failed: 0 };
    assert_eq!(outcome, Outcome { documents, ..Outcome::smooth(3, 25) });
    faulty.assert_people(PEOPLE, &outcome).await;
    let resumes = sqlx::query!(
        r#"select external_id as "external_id!", skills as "skills!", name from resume_list where source = $1"#,
        faulty.api.name()
    );
    let resumes = resumes.fetch_all(&faulty.pipeline.pool).await.unwrap();
    let is_changed = |name: &Option<String>| name.as_ref().is_some_and(|name| name.ends_with(", changed"));
    let changed = resumes.into_iter().filter(|resume| is_changed(&resume.name));
    let changed: Vec<String> = changed.map(|resume| resume.external_id).collect();
    assert_eq!(changed, [faulty.api.external_id(9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_smaller_than_asked_for_loses_nobody() {
    for api in [Api::Lever, Api::Ashby] {
        let faulty = Faulty::start(api).await;
        faulty.set_fault(FaultKind::PageSizeHalves, OnPages::One(2), Times::First(1));
        // 10, 5, 10: the end falls on the end of a page.
        let (outcome, _) = faulty.collected().await;
        assert_eq!(outcome, Outcome::smooth(3, 25), "{api:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
    }
    // Its links have the smaller size in them from there on: 10, 5, 5, 5.
    let faulty = Faulty::start(Api::Workable).await;
    faulty.set_fault(FaultKind::PageSizeHalves, OnPages::One(2), Times::First(1));
    let (outcome, _) = faulty.collected().await;
    assert_eq!(outcome, Outcome::smooth(4, 25));
    faulty.assert_people(PEOPLE, &outcome).await;
}

/// Without an announced total, a page that is not full looks like the last one; one behind it says that it
/// was not.
#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_page_that_is_smaller_than_asked_for_loses_nobody_in_silence() {
    let faulty = Faulty::start(Api::Recruitee).await;
    faulty.set_fault(FaultKind::PageSizeHalves, OnPages::One(2), Times::Always);
    let (outcome, _) = faulty.collected().await;
    if outcome.errors.is_empty() {
        faulty.assert_people(PEOPLE, &outcome).await;
    }
}
