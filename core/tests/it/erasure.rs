//! Erasing people: nothing that is held about them is left, in whatever state it is, and what is held about
//! others stays.

use std::{process::Command, sync::Arc};

use resume_core::{
    attachment::{self, Finder, NewAttachment},
    call::{self, Answer, Answered, Call, CallFailure, Found, FoundAttachments, StoreCallError},
    collection::{self, NewCollection},
    db::{self, PgPool, migrators},
    document::{self, NewDocument, NewParseFailure, StoreError},
    erasure::{self, CheckError, Key},
    jobs::MakeCall,
    parsing::{CompiledMapping, parse_mapped},
    person::{self, EraseError, Erased, Whom},
    progress::counts,
    resume::{self, NewResume, Outcome, Settled},
    source::{
        self,
        definition::{Definition, Step},
    },
};
use resume_postgres::{Programs, testing::TestDatabase};
use resume_queue::JobId;
use serde_json::{Value, json};
use uuid::Uuid;

/// A source that has each person in full elsewhere, with files; and one whose list has all there is.
const DESK: &str = "desk";
const PLAIN: &str = "plain";

const ADA: &str = "ada@example.com";

/// What must be nowhere once Ada is erased.
const HERS: [&str; 6] = ["ada@example.com", "ada%40example.com", "Qwertz", "Zymurgy", "ada-file", "Ada Q"];

struct Held {
    database: TestDatabase,
    key: Key,
}

/// A person as the sources have them.
fn person(id: &str, name: &str, skill: &str) -> Value {
    json!({ "id": id, "name": name, "email": id, "skills": [skill] })
}

fn item(person: &Value) -> NewDocument {
    let id = person["id"].as_str().map(str::to_owned);
    NewDocument::with_id(id, person.to_string().as_bytes())
}

fn ada() -> Value {
    person(ADA, "Ada Qwertz", "Zymurgy")
}

fn bob() -> Value {
    person("bob", "Bob", "SQL")
}

impl Held {
    async fn start() -> Self {
        let database = TestDatabase::new(&migrators()).await.unwrap();
        let limits = json!([{ "calls": 10, "per": "1s" }]);
        let map = json!({ "name": "name", "email": "email", "skills": "skills" });
        let list = json!({ "path": "/all", "items": "", "per_page_max": 100, "paging": { "next_url": { "at": "/next" } } });
        let plain = json!({
            "name": PLAIN, "base_url": "http://plain.example", "limits": limits, "list": list, "format": "mapped", "map": map,
        });
        let mut desk = plain.clone();
        desk["name"] = json!(DESK);
        desk["detail"] = json!({ "path": "/one/{id}" });
        desk["attachments"] = json!({ "at": "files", "hosts": [] });
        let mut conn = database.pool().acquire().await.unwrap();
        for definition in [plain, desk] {
            let definition = Definition::from_json(&definition).unwrap();
            source::put(&mut conn, &definition).await.unwrap();
        }
        drop(conn);
        Self { database, key: Key::new(&[b'k'; 32]).unwrap() }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    async fn collect(&self, source: &str) -> Uuid {
        let new = NewCollection {
            source: source.to_owned(),
            count: None,
            per_page: None,
            batch_size: 10,
            error_mode: false,
            full: true,
            seed: None,
            idempotency_key: None,
        };
        let mut tx = db::begin(self.pool()).await.unwrap();
        let started = collection::start(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
        started.id
    }

    /// The call of a collection that waits to be made and is about this item; of a list about none.
    async fn call(&self, collection_id: Uuid, item: &str) -> Option<Call> {
        let id = sqlx::query_scalar!(
            "select id from calls where collection_id = $1 and item = $2 and state = 'pending' order by id limit 1",
            collection_id,
            item,
        );
        let call_id = id.fetch_optional(self.pool()).await.unwrap()?;
        let mut conn = self.pool().acquire().await.unwrap();
        match call::find(&mut conn, &MakeCall { collection_id, call_id }, JobId::MAX).await.unwrap() {
            Found::Pending(call) => Some(*call),
            other => panic!("{other:?}"),
        }
    }

    async fn store(&self, call: &Call, answer: &Answer) -> Result<Answered, StoreCallError> {
        self.store_with(call, answer, Some(&self.key)).await
    }

    async fn store_with(
        &self,
        call: &Call,
        answer: &Answer,
        key: Option<&Key>,
    ) -> Result<Answered, StoreCallError> {
        let mut tx = db::begin(self.pool()).await.unwrap();
        let stored = call::store(&mut tx, call, answer, key).await?;
        tx.commit().await.unwrap();
        Ok(stored)
    }

    /// Stores a page of a list, and whatever it is told comes next.
    async fn list(&self, collection_id: Uuid, people: &[Value], next: Option<&str>) {
        let call = self.call(collection_id, "").await.unwrap();
        let items = people.iter().map(item).collect();
        let answer = Answer { items, next: next.map(str::to_owned), ..Answer::default() };
        self.store(&call, &answer).await.unwrap();
    }

    /// Stores somebody in full.
    async fn detail(&self, collection_id: Uuid, person: &Value) {
        let call = self.call(collection_id, person["id"].as_str().unwrap()).await.unwrap();
        assert_eq!(call.step, Step::Detail);
        let items = vec![item(person)];
        let finder = Finder::new(call.source.definition.attachments.as_ref().unwrap()).unwrap();
        let attachments = FoundAttachments::of(&finder, &items);
        self.store(&call, &Answer { items, attachments, ..Answer::default() }).await.unwrap();
    }

    async fn file(&self, collection_id: Uuid, item: &str, bytes: &str) {
        let call = self.call(collection_id, item).await.unwrap();
        assert_eq!(call.step, Step::Attachment);
        let file = NewAttachment::new(bytes.into(), None).unwrap();
        let mut tx = db::begin(self.pool()).await.unwrap();
        assert!(call::store_attachment(&mut tx, &call, &file).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// What parsing all that waits in a collection comes to; people without a skill fail, in their own words.
    async fn parsed(&self, collection_id: Uuid) -> (Vec<i64>, Outcome, i32, i32) {
        let mut conn = self.pool().acquire().await.unwrap();
        let waiting = document::waiting_in(&mut conn, collection_id, 100).await.unwrap();
        let first: Vec<i64> = waiting.iter().map(|batch| batch.first_id).collect();
        let (batches, documents) = document::load_waiting(self.pool(), collection_id, &first).await.unwrap();
        let map = source::mapping_of_collection(self.pool(), collection_id).await.unwrap().unwrap();
        let mapping = CompiledMapping::new(map.map.as_ref().unwrap()).unwrap();
        let mut outcome = Outcome::default();
        for document in documents {
            let parsed = parse_mapped(&mapping, document.external_id.as_deref(), &document.body);
            match parsed {
                Ok(parsed) if !parsed.skills.is_empty() => outcome.parsed.push(NewResume {
                    document_id: document.id,
                    person_id: document.person_id,
                    is_overtaken: document.overtaken_by.is_some(),
                    parsed,
                }),
                _ => outcome.failed.push(NewParseFailure {
                    document_id: document.id,
                    code: "missing_mapping",
                    pointer: "/name".to_owned(),
                    detail: String::from_utf8_lossy(&document.body).into_owned(),
                }),
            }
        }
        (batches, outcome, map.source_id, map.version)
    }

    async fn parse(&self, collection_id: Uuid) -> Settled {
        let (batches, outcome, source_id, version) = self.parsed(collection_id).await;
        let mut tx = db::begin(self.pool()).await.unwrap();
        let of = (source_id, collection_id);
        let settled = resume::settle(&mut tx, of.0, of.1, &batches, version, &outcome).await.unwrap();
        tx.commit().await.unwrap();
        settled
    }

    async fn erase(&self, whom: Whom<'_>) -> Result<Erased, EraseError> {
        let mut tx = db::begin(self.pool()).await.unwrap();
        let erased = person::erase(&mut tx, &self.key, whom).await?;
        tx.commit().await.unwrap();
        Ok(erased)
    }

    /// All data of the database, as `pg_dump` writes it.
    fn dump(&self) -> String {
        let program = Programs::find().unwrap().bin_dir().join("pg_dump");
        let dump = Command::new(program).args(["--data-only", self.database.url()]).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        String::from_utf8(dump.stdout).unwrap()
    }

    /// The lines of a dump that have one of these words, also as bytes.
    fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let hex = |word: &str| word.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let dump = self.dump();
        let tells = |line: &&str| words.iter().any(|word| line.contains(word) || line.contains(&hex(word)));
        dump.lines().filter(tells).map(str::to_owned).collect()
    }

    /// What was counted of every collection is what is there.
    async fn assert_counts(&self) {
        let rows = sqlx::query!(
            r#"
            select c.id,
                   (select count(*) from raw_documents d join calls p on p.id = d.call_id where p.collection_id = c.id) as "stored!",
                   (select count(*) from parse_failures f where f.collection_id = c.id) as "failed!",
                   (select coalesce(sum(last_id - first_id + 1), 0)::bigint from batches b
                    where b.collection_id = c.id and b.code is not null) as "given_up!",
                   (select coalesce(sum(last_id - first_id + 1), 0)::bigint from batches b
                    where b.collection_id = c.id and b.code is null) as "waiting!",
                   (select count(*) from calls p where p.collection_id = c.id) as "opened!",
                   (select count(*) from calls p where p.collection_id = c.id and p.state = 'done') as "done!",
                   (select count(*) from calls p where p.collection_id = c.id and p.state = 'failed') as "failed_calls!"
            from collections c
            "#
        );
        let mut conn = self.pool().acquire().await.unwrap();
        for row in rows.fetch_all(self.pool()).await.unwrap() {
            let sums = counts::sum(&mut conn, row.id).await.unwrap();
            assert_eq!((sums.stored, sums.failed, sums.given_up), (row.stored, row.failed, row.given_up));
            assert_eq!(sums.waiting(), row.waiting, "{sums:?}");
            assert_eq!((sums.opened, sums.done, sums.failed_calls), (row.opened, row.done, row.failed_calls));
        }
    }

    async fn ids(&self, source: &str) -> Vec<String> {
        let ids = sqlx::query_scalar!(
            r#"
            select p.external_id as "id!" from people p join sources s on s.id = p.source_id
            where s.name = $1 and p.external_id is not null order by 1
            "#,
            source
        );
        ids.fetch_all(self.pool()).await.unwrap()
    }

    async fn person_of(&self, source: &str, external_id: &str) -> i64 {
        let id = sqlx::query_scalar!(
            "select p.id from people p join sources s on s.id = p.source_id where s.name = $1 and external_id = $2",
            source,
            external_id
        );
        id.fetch_one(self.pool()).await.unwrap()
    }
}

fn her(source: &str) -> Whom<'_> {
    Whom::Person { source, external_id: ADA }
}

/// Ada and Bob in full, with files, one of which is the same; and all sorts of texts that tell of Ada.
async fn collected(held: &Held) -> Uuid {
    let id = held.collect(DESK).await;
    let page = held.call(id, "").await.unwrap();
    let failure =
        CallFailure { code: Some("source_http_500".to_owned()), detail: format!("no {ADA}"), is_call: true };
    let mut conn = held.pool().acquire().await.unwrap();
    call::note_failure(&mut conn, &MakeCall { collection_id: id, call_id: page.id }, &failure).await.unwrap();
    held.list(id, &[ada(), bob()], Some("http://desk.example/all?after=ada%40example.com")).await;
    held.list(id, &[], None).await;
    let files = |own: &str| json!([{ "url": "http://desk.example/f1", "name": own }, { "url": "http://desk.example/f2" }]);
    for (person, own) in [(ada(), "Ada Q.pdf"), (bob(), "bob.pdf")] {
        let mut person = person;
        person["files"] = files(own);
        held.detail(id, &person).await;
        let item = person["id"].as_str().unwrap().to_owned();
        let bytes = if item == ADA { "%PDF-1.4 ada-file" } else { "%PDF-1.4 bob-file" };
        held.file(id, &item, bytes).await;
        held.file(id, &item, "%PDF-1.4 both").await;
    }
    id
}

/// Gives every job an error that tells of Ada, and ends some.
async fn tell_in_jobs(held: &Held) {
    sqlx::query!(
        r#"update queue.live_jobs set errors = jsonb_build_array(jsonb_build_object('attempt', 1, 'error', 'no Ada Qwertz', 'code', 'x'))"#
    )
    .execute(held.pool())
    .await
    .unwrap();
    let ids =
        sqlx::query_scalar!("select id from queue.live_jobs where kind in ('make_call', 'parse_documents')");
    for id in ids.fetch_all(held.pool()).await.unwrap() {
        resume_queue::discard(held.pool(), id).await.unwrap();
    }
    let follow_ups = sqlx::query!(
        r#"update queue.live_jobs set args = jsonb_set(args, '{error}', '"no Ada Qwertz"') where kind = 'settle_discarded'"#
    );
    assert!(follow_ups.execute(held.pool()).await.unwrap().rows_affected() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_has_none_of_the_words_of_an_erased_person() {
    let held = Held::start().await;
    let id = collected(&held).await;
    assert_eq!(held.parse(id).await, Settled::Stored);
    // A second run: her document has changed, and fails in her own words.
    let second = held.collect(DESK).await;
    held.list(second, &[ada(), bob()], None).await;
    let mut changed = ada();
    changed["skills"] = json!([]);
    held.detail(second, &changed).await;
    assert_eq!(held.parse(second).await, Settled::Stored);
    sqlx::query!("insert into doubts values ($1, 'page_short', 1, 'behind ada@example.com')", id)
        .execute(held.pool())
        .await
        .unwrap();
    // Of others something else is told.
    let telling: usize = held.lines_with(&HERS).len();
    assert!(telling > 8, "{telling}");
    tell_in_jobs(&held).await;
    held.assert_counts().await;

    let erased = held.erase(her(DESK)).await.unwrap();
    assert_eq!(erased, Erased { documents: 2, attachments: 2, calls: 4 });
    let left = held.lines_with(&HERS);
    // The errors of the jobs of others are theirs to keep.
    let left: Vec<&String> = left.iter().filter(|line| !line.contains("\"no Ada Qwertz\"")).collect();
    assert_eq!(left, Vec::<&String>::new());
    held.assert_counts().await;
    assert_eq!(held.ids(DESK).await, ["bob"]);
    let files =
        sqlx::query_scalar!(r#"select convert_from(bytes, 'UTF8') as "text!" from attachments order by 1"#);
    assert_eq!(files.fetch_all(held.pool()).await.unwrap(), ["%PDF-1.4 bob-file", "%PDF-1.4 both"]);
    let bobs = held.person_of(DESK, "bob").await;
    let resume = resume::find(held.pool(), bobs, false).await.unwrap().unwrap();
    assert_eq!(attachment::list(held.pool(), resume.document_id).await.unwrap().len(), 2);
    assert!(matches!(held.erase(her(DESK)).await, Err(EraseError::Unknown)));
}

/// Jobs are told by their arguments: every job that is about her, or about a page that had her, forgets.
#[tokio::test(flavor = "multi_thread")]
async fn the_errors_of_jobs_about_an_erased_person_are_forgotten() {
    let held = Held::start().await;
    let id = collected(&held).await;
    tell_in_jobs(&held).await;
    held.parse(id).await;
    held.erase(her(DESK)).await.unwrap();
    let told = sqlx::query!(
        r#"
        select args, errors::text || args::text like '%Qwertz%' as "tells!", errors @> '[{"code": "x"}]' as "has_code!"
        from queue.jobs where errors is not null
        "#
    );
    let others = sqlx::query_scalar!(
        "select id from calls where item = 'bob' or first_document_id is null and item = ''"
    );
    let others = others.fetch_all(held.pool()).await.unwrap();
    let (mut kept, mut forgotten) = (0, 0);
    for job in told.fetch_all(held.pool()).await.unwrap() {
        let args = job.args.unwrap();
        let call = args["call_id"].as_i64().or(args["args"]["call_id"].as_i64());
        let is_of_others = call.is_some_and(|call| others.contains(&call));
        assert_eq!(job.tells, is_of_others, "{args}");
        assert!(job.has_code, "{args}");
        if job.tells { kept += 1 } else { forgotten += 1 }
    }
    assert!(kept > 0 && forgotten > 0, "{kept} {forgotten}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_does_not_bring_an_erased_person_back_until_that_is_lifted() {
    let held = Held::start().await;
    for source in [PLAIN, DESK] {
        let run = async || {
            let id = held.collect(source).await;
            held.list(id, &[ada(), bob()], None).await;
            let asked = held.call(id, ADA).await.is_some();
            if asked {
                held.detail(id, &ada()).await;
            }
            held.parse(id).await;
            let mut conn = held.pool().acquire().await.unwrap();
            (asked, counts::sum(&mut conn, id).await.unwrap().erased)
        };
        assert_eq!(run().await, (source == DESK, 0), "{source}");
        held.erase(her(source)).await.unwrap();
        assert_eq!(run().await, (false, 1), "{source}");
        assert!(!held.ids(source).await.contains(&ADA.to_owned()), "{source}");
        assert_eq!(held.lines_with(&HERS), Vec::<String>::new(), "{source}");
        let mut conn = held.pool().acquire().await.unwrap();
        let number = source::number(&mut conn, source).await.unwrap().unwrap();
        assert!(erasure::lift(&mut conn, number, &held.key, ADA).await.unwrap());
        assert!(!erasure::lift(&mut conn, number, &held.key, ADA).await.unwrap());
        drop(conn);
        assert_eq!(run().await, (source == DESK, 0), "{source}");
        assert!(held.ids(source).await.contains(&ADA.to_owned()), "{source}");
        held.assert_counts().await;
        held.erase(her(source)).await.unwrap();
    }
}

/// Somebody whose details were asked for before they were erased, and come after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_detail_that_was_opened_before_and_answered_after_leaves_nothing() {
    let held = Held::start().await;
    let first = held.collect(DESK).await;
    held.list(first, &[ada()], None).await;
    held.detail(first, &ada()).await;
    let second = held.collect(DESK).await;
    held.list(second, &[ada()], None).await;
    let late = held.call(second, ADA).await.unwrap();
    held.erase(her(DESK)).await.unwrap();
    let answer = Answer { items: vec![item(&ada())], ..Answer::default() };
    assert_eq!(held.store(&late, &answer).await.unwrap(), Answered::NotPending);
    // A page that was stored at the same time has opened one that the erasure did not see.
    sqlx::query!("insert into calls (collection_id, step, item) values ($1, 'detail', $2)", second, ADA)
        .execute(held.pool())
        .await
        .unwrap();
    let mut conn = held.pool().acquire().await.unwrap();
    let opened = counts::Counts { opened: 1, opened_behind: 1, ..counts::Counts::default() };
    counts::add(&mut conn, second, opened).await.unwrap();
    drop(conn);
    let late = held.call(second, ADA).await.unwrap();
    held.store(&late, &answer).await.unwrap();
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    held.assert_counts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_waits_failed_or_was_never_read_is_erased_too() {
    let held = Held::start().await;
    let id = held.collect(PLAIN).await;
    let mut silent = person(ADA, "Ada Qwertz", "x");
    silent["skills"] = json!([]);
    held.list(id, &[silent, bob()], None).await;
    // Waiting.
    assert_eq!(held.erase(her(PLAIN)).await.unwrap().documents, 1);
    held.assert_counts().await;
    // Failed.
    let mut conn = held.pool().acquire().await.unwrap();
    let number = source::number(&mut conn, PLAIN).await.unwrap().unwrap();
    assert!(erasure::lift(&mut conn, number, &held.key, ADA).await.unwrap());
    drop(conn);
    let second = held.collect(PLAIN).await;
    let mut silent = ada();
    silent["skills"] = json!([]);
    held.list(second, &[silent.clone()], None).await;
    held.parse(second).await;
    let person = held.person_of(PLAIN, ADA).await;
    assert_eq!(resume::find(held.pool(), person, true).await.unwrap(), None);
    assert_eq!(held.erase(Whom::Resume(person)).await.unwrap().documents, 1);
    // Given up.
    let mut conn = held.pool().acquire().await.unwrap();
    assert!(erasure::lift(&mut conn, number, &held.key, ADA).await.unwrap());
    let third = held.collect(PLAIN).await;
    held.list(third, &[person_before(), silent.clone(), person_after()], None).await;
    let given_up = document::give_up(&mut conn, third, None, "parser_crashed", "at Qwertz").await.unwrap();
    let change = counts::Counts { given_up, ..counts::Counts::default() };
    counts::add(&mut conn, third, change).await.unwrap();
    drop(conn);
    held.erase(her(PLAIN)).await.unwrap();
    held.assert_counts().await;
    // Never read: asked for, and no more.
    let desk = held.collect(DESK).await;
    held.list(desk, &[ada()], None).await;
    assert_eq!(held.erase(her(DESK)).await.unwrap(), Erased { calls: 1, ..Erased::default() });
    held.assert_counts().await;
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    assert!(matches!(held.erase(her(DESK)).await, Err(EraseError::Unknown)));
}

fn person_before() -> Value {
    person("a-before", "Before", "SQL")
}

fn person_after() -> Value {
    person("z-after", "After", "SQL")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_of_a_batch_are_parsed() {
    let held = Held::start().await;
    let id = held.collect(PLAIN).await;
    held.list(id, &[person_before(), ada(), person_after()], None).await;
    let before = parse_jobs(&held).await;
    held.erase(her(PLAIN)).await.unwrap();
    held.assert_counts().await;
    let jobs = parse_jobs(&held).await;
    assert_eq!((before.len(), jobs.len()), (1, 2), "one for the rest, in the run's group: {jobs:?}");
    assert!(jobs.iter().all(|group| *group == jobs[0]));
    assert_eq!(held.parse(id).await, Settled::Stored);
    assert_eq!(held.ids(PLAIN).await, ["a-before", "z-after"]);
    let mut conn = held.pool().acquire().await.unwrap();
    let sums = counts::sum(&mut conn, id).await.unwrap();
    assert_eq!((sums.stored, sums.parsed, sums.waiting()), (2, 2, 0));
}

/// The groups of the jobs that parse.
async fn parse_jobs(held: &Held) -> Vec<Option<i64>> {
    let jobs = sqlx::query_scalar!("select group_id from queue.live_jobs where kind = 'parse_documents'");
    jobs.fetch_all(held.pool()).await.unwrap()
}

/// Whoever was first, nothing of her is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_being_parsed_is_erased_after_that() {
    let held = Arc::new(Held::start().await);
    let id = held.collect(PLAIN).await;
    held.list(id, &[person_before(), ada(), person_after()], None).await;
    let (batches, outcome, source_id, version) = held.parsed(id).await;
    let mut parsing = db::begin(held.pool()).await.unwrap();
    let settled = resume::settle(&mut parsing, source_id, id, &batches, version, &outcome).await.unwrap();
    assert_eq!(settled, Settled::Stored);
    let erasing = tokio::spawn({
        let held = held.clone();
        async move { held.erase(her(PLAIN)).await }
    });
    until_somebody_waits(&held).await;
    parsing.commit().await.unwrap();
    assert_eq!(erasing.await.unwrap().unwrap().documents, 1);
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    held.assert_counts().await;
    let resumes = sqlx::query_scalar!(r#"select count(*) as "n!" from resumes"#);
    assert_eq!(resumes.fetch_one(held.pool()).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parse_that_comes_to_an_end_after_an_erasure_stores_nothing_of_it() {
    let held = Arc::new(Held::start().await);
    let id = held.collect(PLAIN).await;
    held.list(id, &[person_before(), ada(), person_after()], None).await;
    let (batches, outcome, source_id, version) = held.parsed(id).await;
    let mut erasing = db::begin(held.pool()).await.unwrap();
    person::erase(&mut erasing, &held.key, her(PLAIN)).await.unwrap();
    let settle = {
        let (held, batches, outcome) = (held.clone(), batches.clone(), outcome.clone());
        async move {
            let mut tx = db::begin(held.pool()).await.unwrap();
            let of = (source_id, id);
            resume::settle(&mut tx, of.0, of.1, &batches, version, &outcome).await.unwrap()
        }
    };
    let settling = tokio::spawn(settle);
    until_somebody_waits(&held).await;
    erasing.commit().await.unwrap();
    assert_eq!(settling.await.unwrap(), Settled::Gone);
    // And one that begins its transaction only now.
    let mut tx = db::begin(held.pool()).await.unwrap();
    let settled = resume::settle(&mut tx, source_id, id, &batches, version, &outcome).await.unwrap();
    assert_eq!(settled, Settled::Gone);
    tx.rollback().await.unwrap();
    assert_eq!(held.parse(id).await, Settled::Stored);
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    held.assert_counts().await;
}

async fn until_somebody_waits(held: &Held) {
    let waits = async || {
        let waits = sqlx::query_scalar!(
            r#"
            select exists (select from pg_stat_activity
                           where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0) as "waits!"
            "#
        );
        waits.fetch_one(held.pool()).await.unwrap()
    };
    while !waits().await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_of_a_person_is_found() {
    let held = Held::start().await;
    let with = |skill: &str| {
        let mut changed = ada();
        changed["skills"] = json!([skill]);
        changed
    };
    let first = held.collect(PLAIN).await;
    // Twice in one run, with different bytes: both contents are current.
    held.list(first, &[with("one"), with("two")], None).await;
    held.parse(first).await;
    let second = held.collect(PLAIN).await;
    held.list(second, &[with("three")], None).await;
    held.parse(second).await;
    // A call that was made before all others, and is stored after them.
    let late = held.collect(PLAIN).await;
    let call = held.call(late, "").await.unwrap();
    let called_at = Some(chrono::DateTime::UNIX_EPOCH);
    let answer = Answer { items: vec![item(&with("late"))], called_at, ..Answer::default() };
    held.store(&call, &answer).await.unwrap();
    let third = held.collect(PLAIN).await;
    held.list(third, &[with("four")], None).await;
    held.parse(third).await;
    assert_eq!(held.erase(her(PLAIN)).await.unwrap().documents, 5);
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    held.assert_counts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_an_id_is_known_by_what_they_said() {
    let held = Held::start().await;
    let nobody = json!({ "name": "Ada Qwertz", "skills": ["Zymurgy"] });
    let id = held.collect(PLAIN).await;
    held.list(id, &[nobody.clone(), bob()], None).await;
    let person = sqlx::query_scalar!("select id from people where external_id is null");
    let person = person.fetch_one(held.pool()).await.unwrap();
    held.erase(Whom::Resume(person)).await.unwrap();
    let next = held.collect(PLAIN).await;
    held.list(next, &[nobody, bob()], None).await;
    assert_eq!(held.lines_with(&HERS), Vec::<String>::new());
    let mut conn = held.pool().acquire().await.unwrap();
    assert_eq!(counts::sum(&mut conn, next).await.unwrap().erased, 1);
}

/// Who was erased cannot be told without the key, so nobody new is stored; those who are known are.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_nobody_new_is_stored_of_a_source_that_has_erased_people() {
    let held = Held::start().await;
    let id = held.collect(PLAIN).await;
    held.list(id, &[ada(), bob()], None).await;
    held.erase(her(PLAIN)).await.unwrap();
    let other = Key::new(&[b'o'; 32]).unwrap();
    for key in [None, Some(&other)] {
        for (people, is_stored) in
            [(vec![ada(), bob()], false), (vec![bob()], true), (vec![person_after()], false)]
        {
            let id = held.collect(PLAIN).await;
            let call = held.call(id, "").await.unwrap();
            let answer = Answer { items: people.iter().map(item).collect(), ..Answer::default() };
            match held.store_with(&call, &answer, key).await {
                Ok(_) => assert!(is_stored, "{people:?}"),
                Err(error) => {
                    assert!(!is_stored && error.is_key_missing(), "{people:?}: {error}");
                    assert!(matches!(error, StoreCallError::Documents(StoreError::Erasure(_))));
                    assert!(error.to_string().contains("RESUME_ERASURE_KEY_FILE"), "{error}");
                }
            }
        }
    }
    let mut conn = held.pool().acquire().await.unwrap();
    let whom = Whom::Person { source: PLAIN, external_id: "bob" };
    let refused = person::erase(&mut conn, &other, whom).await.unwrap_err();
    assert!(matches!(refused, EraseError::Check(CheckError::KeyMissing)));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_held_about_a_person_is_given_out() {
    let held = Held::start().await;
    let id = collected(&held).await;
    held.parse(id).await;
    let told = person::export(held.pool(), her(DESK)).await.unwrap();
    assert_eq!((&told["source"], &told["external_id"]), (&json!(DESK), &json!(ADA)));
    assert_eq!(told["resume"]["parsed"]["name"], "Ada Qwertz");
    let document = &told["documents"][0];
    let body: Value = serde_json::from_str(document["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["email"], &document["state"]), (&json!(ADA), &json!("parsed")));
    let names: Vec<&Value> =
        document["attachments"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["Ada Q.pdf", "attachment-2"]);
    assert_eq!(told["calls"].as_array().unwrap().len(), 3);
    let text = told.to_string();
    assert!(!text.contains("bob"), "{text}");

    let mut odd = item(&ada());
    odd.body = b"\xff\xfe".to_vec();
    let next = held.collect(PLAIN).await;
    let call = held.call(next, "").await.unwrap();
    held.store(&call, &Answer { items: vec![odd], ..Answer::default() }).await.unwrap();
    let told = person::export(held.pool(), her(PLAIN)).await.unwrap();
    assert_eq!(told["documents"][0]["body_base64"], "//4=");
    let nobody = Whom::Person { source: PLAIN, external_id: "nobody" };
    assert!(matches!(person::export(held.pool(), nobody).await, Err(EraseError::Unknown)));
}
