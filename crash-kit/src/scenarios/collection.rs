use std::{env, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};
use mock_ats::{Ats, Face, Fault, FaultKind, MockServer, Pages, Times};
use resume_core::{
    collection::{self, BACKLOG_MAX, NewCollection},
    db::{self, Role},
    parsing::Format,
    source::{self, definition::Definition},
};
use sqlx::PgPool;

use super::worker;
use crate::{DATABASE_URL, Invariant, Scenario, sql::number};

pub(super) const NAME: &str = "collection";

/// Three pages each, two batches a page.
const COUNT: u32 = 12;
const PER_PAGE: u32 = 4;
const BATCH_SIZE: u32 = 2;

/// Of these people some are broken.
const SEED: u32 = 7;

/// More than any trial asks for.
const CALLS_PER_SECOND: u32 = 1000;

/// The whole pipeline: three collections from sources with numbered pages and with next links, one of which
/// fails once on a page and for good on another.
#[derive(Debug)]
pub struct Collection {
    program: PathBuf,
}

impl Collection {
    /// With the program of this package as the worker.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }
}

/// The systems that a run collects from.
pub struct Systems {
    sound: MockServer,
    faulty: MockServer,
}

impl Scenario for Collection {
    type Fixture = Systems;

    fn name(&self) -> &str {
        NAME
    }

    async fn prepare(&self, pool: &PgPool) -> Result<Systems> {
        let systems = Systems { sound: start_system().await?, faulty: start_system().await? };
        systems.faulty.ats().set_faults([
            Fault::new(FaultKind::Status(503), Pages::One(1), Times::First(1)),
            Fault::new(FaultKind::Status(404), Pages::One(2), Times::Always),
        ]);
        let mut tx = db::begin(pool).await?;
        let original = |name, system: &MockServer, face: Face| {
            Definition::original(name, &system.url(), face.path(), CALLS_PER_SECOND)
        };
        for definition in [
            original("numbered", &systems.sound, Face::TestData),
            original("next links", &systems.sound, Face::JsonResumes)
                .along_links()
                .of_format(Format::JsonResume),
            original("faulty", &systems.faulty, Face::TestData),
        ] {
            source::put(&mut tx, &definition).await?;
            let new = NewCollection {
                source: definition.name,
                count: Some(COUNT.into()),
                per_page: Some(PER_PAGE),
                batch_size: BATCH_SIZE,
                error_mode: true,
                full: false,
                seed: Some(SEED),
                idempotency_key: None,
            };
            collection::start(&mut tx, &new).await?;
        }
        tx.commit().await?;
        Ok(systems)
    }

    fn worker(&self) -> Command {
        worker(&self.program, NAME)
    }

    fn invariants(&self) -> Vec<Invariant> {
        let same = Invariant::same_rows;
        vec![
            Invariant::no_lease_ran_out(),
            // Not the calls made: one that failed is counted where that is possible.
            same(
                "collections end with the right counts",
                "select source, state, pages_expected, finished_at is not null as is_over, sum(n.opened) as opened, \
                 sum(n.done) as done, sum(n.failed_calls) as failed_calls, sum(n.stored) as stored, \
                 sum(n.unchanged) as unchanged, sum(n.parsed) as parsed, sum(n.failed) as failed, \
                 sum(n.given_up) as given_up \
                 from collections c join collection_counts n on n.collection_id = c.id group by c.id order by source",
            ),
            // Nor the code of an error.
            same(
                "answers are stored once",
                "select source, step, place, p.state, items, error_code is not null as has_error, \
                 (select count(*) from raw_documents d where d.call_id = p.id) as documents \
                 from calls p join collections c on c.id = collection_id order by source, step, place",
            ),
            same(
                "documents are stored once",
                "select s.name, c.place, position, external_id, d.content_hash, supersedes is null as is_first \
                 from raw_documents d join people p on p.id = person_id join sources s on s.id = source_id \
                 join calls c on c.id = call_id order by s.name, c.place, position, d.id",
            ),
            same("nothing waits", "select count(*) from batches"),
            same(
                "resumes are those of the documents",
                "select s.name, external_id, parser_version, skills, document::text from resumes r \
                 join people p on p.id = person_id join sources s on s.id = source_id order by s.name, external_id",
            ),
            same(
                "failures to parse are listed once",
                "select c.source, p.place, d.position, f.code, f.pointer from parse_failures f \
                 join raw_documents d on d.id = document_id join calls p on p.id = call_id \
                 join collections c on c.id = p.collection_id order by c.source, p.place, d.position",
            ),
        ]
    }

    /// A call is made by a run, and a run makes one call: a crash wastes those that were under way, no more.
    async fn check(&self, systems: &Systems, pool: &PgPool) -> Result<Vec<String>> {
        let stats = [systems.sound.ats().stats(), systems.faulty.ats().stats()];
        let calls: u64 = stats.iter().map(|stats| stats.calls - stats.rate_limited).sum();
        let attempts = "select coalesce(sum(attempt), 0)::bigint from jobs where kind = 'make_call'";
        let attempts = number(pool, attempts).await?;
        let is_wasteful = i64::try_from(calls)? > attempts;
        Ok(is_wasteful.then(|| format!("{calls} calls by {attempts} attempts")).into_iter().collect())
    }
}

async fn start_system() -> Result<MockServer> {
    let settings =
        mock_ats::Settings { calls_per_second: CALLS_PER_SECOND, ..mock_ats::Settings::without_latency() };
    MockServer::start(Ats::new(settings)).await.context("starting the mock of a source")
}

/// The worker process: that of the service.
pub(super) async fn work(stop: impl Future<Output = ()>) -> Result<()> {
    let url = env::var(DATABASE_URL).context("the address of the database")?;
    let settings = resume_worker::Settings {
        parse_delay: Duration::ZERO,
        backlog_max: BACKLOG_MAX,
        retention: resume_worker::Retention::default(),
        secrets_dir: std::env::temp_dir(),
        erasure_key: None,
        grace: Duration::from_secs(5),
    };
    resume_worker::run(db::pool(&url, Role::Worker)?, settings, stop).await
}
