use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use mock_ats::Ats;
use serde_json::json;

use crate::{
    client::{Client, Status},
    commands::up::print_addresses,
    database::{DEMO_NAME, Database},
    mock,
    options::{DatabaseOptions, DemoOptions},
    output::say,
    progress,
    service::{self, Service},
    shutdown, table,
};

/// How many resumes the demo collects, and how many on a page.
const COUNT: u32 = 200;
const PER_PAGE: u32 = 10;
/// How many hits of each search it shows.
const SHOWN: u32 = 5;

pub(crate) async fn run(place: &DatabaseOptions, options: DemoOptions) -> Result<()> {
    let begun = Instant::now();
    say!("1. Starting: database, API, worker and a mock applicant tracking system, in this one process");
    let database = Database::open(place, DEMO_NAME).await?;
    let database_time = begun.elapsed();
    let mut service = Service::default();
    let ats = mock::system();
    let address = start_api(&mut service, &database, &options, &ats).await?;
    mock::add_sources(&database, address).await?;
    service.start_worker(&database, &options.work)?;
    print_addresses(&database, DEMO_NAME, address);

    let show = async {
        let result = show(&database, address, &options, &ats, database_time).await;
        if options.keep && result.is_ok() {
            say!("\nThe service stays up; Ctrl-C stops it.");
            shutdown::requested().await;
        }
        result
    };
    let mut result = Ok(());
    let shown = async {
        tokio::select! {
            shown = show => result = shown,
            () = shutdown::requested() => result = Err(anyhow!("stopped before the end")),
        }
    };
    let stopped = service.run_until(shown).await;
    database.close().await;
    result.and(stopped)
}

/// Serves on the address asked for; on another one if that is the default and somebody else has it.
async fn start_api(
    service: &mut Service,
    database: &Database,
    options: &DemoOptions,
    ats: &Ats,
) -> Result<SocketAddr> {
    let bind = options.bind.bind;
    let erasure = &options.work.erasure;
    let mock = || Some(mock_ats::app(ats.clone()));
    let dry_calls = || service::dry_calls(options.work.secrets.secrets_dir.clone(), false);
    match service.start_api(database, bind, mock(), dry_calls()?, erasure).await {
        Err(error) if bind.port() == 8000 => {
            say!("   ({error:#}; taking a free port)");
            service.start_api(database, SocketAddr::new(bind.ip(), 0), mock(), dry_calls()?, erasure).await
        }
        result => result,
    }
}

async fn show(
    database: &Database,
    address: SocketAddr,
    options: &DemoOptions,
    ats: &Ats,
    database_time: Duration,
) -> Result<()> {
    let client = Client::new(&format!("http://{address}"))?;
    say!("\n2. Collecting {COUNT} resumes, {PER_PAGE} a page, from a system that allows 30 calls a second");
    if !options.work.parse_delay.is_zero() {
        say!("   and parsing each as if that took {}", humantime::format_duration(options.work.parse_delay));
    }
    let begun = Instant::now();
    let body = json!({ "count": COUNT, "per_page": PER_PAGE, "batch_size": 10 });
    let id = client.trigger(&body).await?;
    let status = progress::watch(&client, &id).await?;
    let collection_time = begun.elapsed();
    progress::print_errors(&status);
    if status.state != "completed" {
        bail!("the collection ended as {}", status.state);
    }

    say!("\n3. Searching: React or SQL");
    let begun = Instant::now();
    let any = client.search("React,SQL", "any", SHOWN).await?;
    let any_time = begun.elapsed();
    table::print(&any);
    say!("\n4. Searching: React and SQL");
    let begun = Instant::now();
    let all = client.search("React,SQL", "all", SHOWN).await?;
    let all_time = begun.elapsed();
    table::print(&all);

    say!("\n5. Where the time went");
    say!("   database ready      {:>8.2} s", database_time.as_secs_f64());
    print_collection(&status, options, ats, collection_time);
    say!("   any-search          {:>8.1} ms", any_time.as_secs_f64() * 1000.0);
    say!("   all-search          {:>8.1} ms", all_time.as_secs_f64() * 1000.0);
    print_sql(database, &id);
    Ok(())
}

fn print_collection(status: &Status, options: &DemoOptions, ats: &Ats, time: Duration) {
    say!("   collection          {:>8.2} s for {} resumes", time.as_secs_f64(), status.documents.parsed);
    let rate_floor = f64::from(COUNT.div_ceil(PER_PAGE)) / 30.0;
    say!("     of it, at least   {rate_floor:>8.2} s for {} calls at 30 a second", COUNT.div_ceil(PER_PAGE));
    let delay = options.work.parse_delay;
    if !delay.is_zero() {
        let in_a_row = delay.as_secs_f64() * f64::from(COUNT);
        say!(
            "     and               {:>8.2} s for the slow parser, which one after the other would take {in_a_row:.0} s",
            delay.as_secs_f64()
        );
    }
    let seen = ats.stats();
    say!(
        "   the mock saw {} calls, at most {} in any second, and refused {}",
        seen.calls,
        seen.max_calls_in_one_second,
        seen.rate_limited
    );
}

fn print_sql(database: &Database, id: &str) {
    say!("\n6. Everything is in the database: every job, with its times, attempts and errors");
    let open = match database.cluster() {
        Some(_) => format!("cargo run --release -- psql --database {DEMO_NAME}"),
        None => "psql \"$DATABASE_URL\"".to_owned(),
    };
    say!("   {open}");
    say!(
        "     select kind, state, count(*), max(attempt) as attempts,\n            \
         round(avg(extract(epoch from started_at - created_at)) * 1000) as wait_ms,\n            \
         round(avg(extract(epoch from finished_at - started_at)) * 1000) as run_ms\n     \
         from jobs where collection_id = '{id}' group by kind, state;"
    );
    say!("     select * from calls where collection_id = '{id}' order by id;");
    say!("     select external_id, skills from resume_list order by id desc limit 5;");
}
