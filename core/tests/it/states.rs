//! Each document is in one state, and the counts are what the tables say, whatever has happened in whatever
//! order.

use resume_core::{
    call::{self, Answer},
    collection::Scope,
    document::{self, DocumentFilter},
    jobs::MakeCall,
    resume::{self, Settled},
    source::{self, definition::Definition},
};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, NUMBERED, Random, collection_of, discarded, in_time, item, items, outcome_of},
    imports::{file, import},
};

impl Fixture {
    /// Compares the counts of a collection with what the tables say.
    async fn assert_counts_are_true(&self, id: Uuid, what: &str) {
        let told = self.progress(id).await.counts;
        let rows = sqlx::query!(
            r#"
            select (select count(*) from calls where collection_id = $1 and state = 'pending') as "pending!",
                   (select count(*) from calls where collection_id = $1 and state = 'done') as "done!",
                   (select count(*) from calls where collection_id = $1 and state = 'failed') as "failed_calls!",
                   (select count(*) from documents where collection_id = $1) as "stored!",
                   (select count(*) from parse_failures where collection_id = $1) as "failed!",
                   coalesce((select sum(last_id - first_id + 1) from batches where collection_id = $1 and code is null), 0)::bigint
                       as "waiting!",
                   coalesce((select sum(last_id - first_id + 1) from batches where collection_id = $1 and code is not null), 0)::bigint
                       as "given_up!"
            "#,
            id
        );
        let rows = rows.fetch_one(self.pool()).await.unwrap();
        let of_tables = [
            rows.pending,
            rows.done,
            rows.failed_calls,
            rows.stored,
            rows.failed,
            rows.waiting,
            rows.given_up,
        ];
        let of_counts = [
            told.pending(),
            told.done,
            told.failed_calls,
            told.stored,
            told.failed,
            told.waiting(),
            told.given_up,
        ];
        assert_eq!(
            of_counts, of_tables,
            "pending, done, failed calls, stored, failed, waiting, given up: {what}"
        );
        let parsed = told.stored + told.retried - told.failed - told.waiting() - told.given_up;
        assert_eq!(told.parsed, parsed, "{what}");
    }

    /// No document waits, failed or was given up in more than one way of the same collection.
    async fn assert_states_exclude_each_other(&self, what: &str) {
        let twice = sqlx::query_scalar!(
            r#"
            select count(*) as "twice!" from (
                select collection_id, document_id from parse_failures
                union all
                select b.collection_id, d.id from batches b join raw_documents d on d.id between b.first_id and b.last_id
            ) s group by s.collection_id, s.document_id having count(*) > 1
            "#
        );
        assert_eq!(twice.fetch_all(self.pool()).await.unwrap(), [0; 0], "{what}");
    }

    async fn reparse_all(&self, random: &mut Random, map_version: i32) {
        let map = source::mapping(self.pool(), NUMBERED).await.unwrap().unwrap();
        let mut tx = self.pool().begin().await.unwrap();
        let step = resume::reparse_next(&mut tx, self.pool(), map.source_id, map_version, None);
        let documents = step.await.unwrap().documents;
        let failed = (random.next() % 4) as usize;
        let outcome = outcome_of(&documents, failed);
        resume::store_reparsed(&mut tx, map.source_id, map_version, &outcome).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Does one thing that may happen to a collection at this moment.
    async fn step(&self, id: Uuid, random: &mut Random) -> &'static str {
        let place = (random.next() % 4) as i32 + 1;
        let waiting = self.waiting(id).await;
        let batch = waiting.get((random.next() % 12) as usize).map(|batch| batch.first_id);
        match random.next() % 8 {
            0 | 1 => {
                let Some(call) = self.pending(id, place).await else { return "nothing" };
                let items = items(&format!("{}", random.next() % 3), 10);
                self.store(&call, &Answer { items, ..Answer::default() }).await.unwrap();
                "a page is stored"
            }
            2 | 3 => {
                let Some(batch) = batch else { return "nothing" };
                self.parse_batches(id, &[batch], (random.next() % 3) as usize).await;
                "a batch is parsed"
            }
            4 => {
                let Some(batch) = batch else { return "nothing" };
                let job = resume_core::jobs::ParseDocuments { collection_id: id, batches: vec![batch] };
                self.give_up_documents(&job, "cancelled_by_request").await;
                "a batch is given up"
            }
            5 => {
                let Some(call) = self.pending(id, place).await else { return "nothing" };
                let discarded = discarded(self.last_fetch_job(call.id).await, "gone");
                let mut conn = self.pool().acquire().await.unwrap();
                let job = MakeCall { collection_id: id, call_id: call.id };
                call::give_up(&mut conn, &job, &discarded).await.unwrap();
                drop(conn);
                self.end_run(id).await;
                "a call is given up"
            }
            6 => {
                let scopes = [Scope::Unfinished, Scope::Calls, Scope::Documents, Scope::All];
                _ = self.continue_collection(id, scopes[(random.next() % 4) as usize]).await;
                "it goes on"
            }
            _ => {
                match random.next() % 3 {
                    0 => _ = self.pause(id).await,
                    1 => _ = self.cancel(id).await,
                    _ => self.reparse_all(random, 1).await,
                }
                "it is stopped, or all is parsed again"
            }
        }
    }
}

/// Two collections and a file bring the same people, who change, while all that may happen does.
#[tokio::test]
async fn counts_are_what_the_tables_say_after_anything() {
    for seed in 0..6 {
        let fixture = Fixture::new().await;
        let mut random = Random(seed);
        let ids = [
            fixture.start(&collection_of(40, NUMBERED)).await,
            fixture.start(&collection_of(40, NUMBERED)).await,
        ];
        let mut all = ids.to_vec();
        for round in 0..40 {
            let what = if round % 13 == 12 {
                let people = items(&format!("{}", random.next() % 3), 10);
                all.push(import(&fixture, &file(10), &people).await.0);
                "a file is imported"
            } else {
                fixture.step(ids[(random.next() % 2) as usize], &mut random).await
            };
            let what = format!("seed {seed}, round {round}: {what}");
            for &id in &all {
                fixture.assert_counts_are_true(id, &what).await;
            }
            fixture.assert_states_exclude_each_other(&what).await;
        }
    }
}

/// It fails again, and is listed again, by the run that has found it; after a change of the map it is parsed.
#[tokio::test]
async fn a_file_that_is_imported_again_has_its_failures_read_again() {
    let fixture = Fixture::new().await;
    let people = items("p", 10);
    let (first, _) = import(&fixture, &file(10), &people).await;
    let failed = async |id: Uuid, failed: usize| {
        for batch in fixture.waiting(id).await {
            fixture.parse_batches(id, &[batch.first_id], failed).await;
        }
        let counts = fixture.progress(id).await.counts;
        let listed = document::list(fixture.pool(), id, &only_failed(), 0, 100).await.unwrap();
        assert_eq!(listed.len() as i64, counts.failed);
        [counts.stored, counts.unchanged, counts.retried, counts.parsed, counts.failed]
    };
    assert_eq!(failed(first, 3).await, [10, 0, 0, 7, 3]);
    let (second, _) = import(&fixture, &file(10), &people).await;
    assert_eq!(failed(second, 3).await, [0, 7, 3, 0, 3]);
    let yaml = "{name: numbered, files: {}, format: mapped, map: {name: name}}";
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &Definition::from_yaml(yaml).unwrap()).await.unwrap();
    drop(conn);
    let (third, _) = import(&fixture, &file(10), &people).await;
    assert_eq!(failed(third, 0).await, [0, 7, 3, 3, 0]);
    for id in [first, second] {
        assert_eq!(fixture.progress(id).await.counts.failed, 0, "they are listed as failed no longer");
        assert!(fixture.progress(id).await.errors.is_empty());
    }
}

fn only_failed() -> DocumentFilter {
    DocumentFilter { state: Some(document::DocumentState::Failed), code: None }
}

#[tokio::test]
async fn what_was_read_with_an_older_map_is_not_stored() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 4)).await;
    let batch = fixture.waiting(id).await[0].first_id;
    let (batches, documents) = document::load_waiting(fixture.pool(), id, &[batch]).await.unwrap();
    let before = source::mapping(fixture.pool(), NUMBERED).await.unwrap().unwrap();
    let yaml = "{name: numbered, files: {}, format: mapped, map: {name: name}}";
    source::put(&mut fixture.pool().acquire().await.unwrap(), &Definition::from_yaml(yaml).unwrap())
        .await
        .unwrap();
    let settle = async |version: i32| {
        let mut tx = fixture.pool().begin().await.unwrap();
        let outcome = outcome_of(&documents, 0);
        let settled =
            resume::settle(&mut tx, before.source_id, id, &batches, version, &outcome).await.unwrap();
        if settled == Settled::Stored {
            tx.commit().await.unwrap()
        } else {
            tx.rollback().await.unwrap()
        }
        settled
    };
    assert_eq!(settle(before.version).await, Settled::MapChanged);
    assert_eq!(fixture.progress(id).await.counts.waiting(), 4);
    assert_eq!(settle(before.version + 1).await, Settled::Stored);
    assert_eq!(settle(before.version + 1).await, Settled::Gone, "somebody else was faster");
}

/// Two documents of one new person in two batches that are parsed at the same time: the first resume is
/// stored by one of them, and the other looks again.
#[tokio::test]
async fn the_first_resume_of_a_person_is_stored_once_and_the_later_document_wins() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(id, 1, vec![item("ada", &["A"])]).await;
    fixture.store_items(id, 2, vec![item("ada", &["B"])]).await;
    let batches: Vec<i64> = fixture.waiting(id).await.iter().map(|batch| batch.first_id).collect();
    let source = source::mapping(fixture.pool(), NUMBERED).await.unwrap().unwrap();
    let mut loaded = Vec::new();
    for batch in &batches {
        loaded.push(document::load_waiting(fixture.pool(), id, &[*batch]).await.unwrap());
    }
    let of = (source.source_id, id);
    let outcomes: Vec<_> = loaded.iter().map(|(_, documents)| outcome_of(documents, 0)).collect();
    // The later document is stored first, and not committed yet.
    let mut later = fixture.pool().begin().await.unwrap();
    let settled = resume::settle(&mut later, of.0, of.1, &loaded[1].0, source.version, &outcomes[1]).await;
    assert_eq!(settled.unwrap(), Settled::Stored);
    let earlier = {
        let (pool, there, outcome) = (fixture.pool().clone(), loaded[0].0.clone(), outcomes[0].clone());
        tokio::spawn(async move {
            let mut tx = pool.begin().await.unwrap();
            let settled =
                resume::settle(&mut tx, of.0, of.1, &there, source.version, &outcome).await.unwrap();
            tx.rollback().await.unwrap();
            settled
        })
    };
    fixture.until_blocked(1).await;
    later.commit().await.unwrap();
    assert_eq!(in_time("it looks again", earlier).await.unwrap(), Settled::Gone);
    fixture.parse_all(id).await;
    let skills = sqlx::query_scalar!("select skills from resumes").fetch_all(fixture.pool()).await.unwrap();
    assert_eq!(skills, [["b"]]);
    assert_eq!(fixture.progress(id).await.counts.parsed, 2);
}

/// Who began to store before the change may have read with the older map: a reparse that began now would miss
/// what they store.
#[tokio::test]
async fn a_change_of_the_map_has_settled_when_those_who_wrote_before_have_ended() {
    let fixture = Fixture::new().await;
    let mut writer = fixture.pool().begin().await.unwrap();
    sqlx::query!(r#"select pg_current_xact_id()::text as "id!""#).fetch_one(&mut *writer).await.unwrap();
    let yaml = "{name: numbered, files: {}, format: mapped, map: {name: name}}";
    source::put(&mut fixture.pool().acquire().await.unwrap(), &Definition::from_yaml(yaml).unwrap())
        .await
        .unwrap();
    assert!(!source::has_settled(fixture.pool(), NUMBERED).await.unwrap());
    writer.commit().await.unwrap();
    // So has what the other databases of the server have begun before, in a moment.
    let settled = async { while !source::has_settled(fixture.pool(), NUMBERED).await.unwrap() {} };
    in_time("the change has settled", settled).await;
}

/// No row is shared: whoever stores or parses waits for nobody of the same collection.
#[tokio::test]
async fn transactions_of_one_collection_do_not_wait_for_each_other() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(400, NUMBERED)).await;
    // The first answer changes the collection: it has started.
    fixture.store_items(id, 3, items("c", 10)).await;
    let [one, two] = [fixture.page(id, 1).await, fixture.page(id, 2).await];
    let answer = |prefix: &str| Answer { items: items(prefix, 10), ..Answer::default() };
    let mut first = fixture.pool().begin().await.unwrap();
    call::store(&mut first, &one, &answer("a"), None).await.unwrap();
    let answer = answer("b");
    assert!(in_time("the second page is stored", fixture.store(&two, &answer)).await.is_some());

    let waiting = fixture.waiting(id).await;
    let (batches, documents) =
        document::load_waiting(fixture.pool(), id, &[waiting[0].first_id]).await.unwrap();
    let source_id = source::mapping(fixture.pool(), NUMBERED).await.unwrap().unwrap().source_id;
    let outcome = outcome_of(&documents, 1);
    let mut parsing = fixture.pool().begin().await.unwrap();
    resume::settle(&mut parsing, source_id, id, &batches, 0, &outcome).await.unwrap();
    in_time("another batch is parsed", fixture.parse_batches(id, &[waiting[1].first_id], 1)).await;
    parsing.commit().await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(fixture.progress(id).await.counts.stored, 30);
}
