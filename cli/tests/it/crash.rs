//! The promises about crashes, with real processes: nothing is lost, nothing is there twice, and a kill costs
//! at most the pages that were under way.

use resume_core::collection::CollectionState;
use resume_postgres::RestartMode;

use crate::scene::{Pages, Scene};

const COUNT: u32 = 2000;
const PER_PAGE: u32 = 20;
const PAGES: i64 = (COUNT / PER_PAGE) as i64;
const KILLS: i64 = 5;
/// Fetches under way at once in one worker (`FETCHES` in worker/src/registry.rs).
const FETCHES: i64 = 16;

/// Kills a worker five times, each time with some more of the collection done and a fresh worker in its
/// place.
async fn kill_five_times(scene: &Scene, id: uuid::Uuid) {
    let mut workers = vec![scene.worker(), scene.worker()];
    for kill in 0..KILLS {
        let fetched = (kill + 1) * PAGES / (KILLS + 2);
        scene.until(id, |progress| progress.counts.done >= fetched).await;
        let mut victim = workers.remove(0);
        victim.kill().await.unwrap();
        workers.push(scene.worker());
    }
    scene.until(id, |progress| progress.collection.state.is_over()).await;
}

async fn assert_exactly_once(scene: &Scene, id: uuid::Uuid) {
    let end = scene.until(id, |progress| progress.collection.state.is_over()).await;
    assert_eq!(end.collection.state, CollectionState::Completed, "{end:#?}");
    assert_eq!((end.counts.done, end.counts.failed_calls), (PAGES, 0));
    assert_eq!(
        (end.counts.stored, end.counts.unchanged, end.counts.parsed, end.failed()),
        (2000, 0, 2000, 0)
    );
    assert_eq!(scene.counts().await, (2000, 2000, 2000));
    let (live, attempts) = scene.jobs().await;
    assert_eq!(live, 0, "no job is left behind");
    assert!(
        attempts > 1 || scene.mock.ats().stats().calls == PAGES as u64,
        "a re-read page took another attempt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_re_reads_at_most_one_page_for_each_kill() {
    let scene = Scene::on_shared_server(Pages::Linked).await;
    let id = scene.collect(COUNT, PER_PAGE).await;
    kill_five_times(&scene, id).await;
    assert_exactly_once(&scene, id).await;
    let calls = scene.mock.ats().stats().calls as i64;
    assert!(calls <= PAGES + KILLS, "{calls} calls for {PAGES} pages and {KILLS} kills");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_side_by_side_re_read_at_most_those_under_way() {
    let scene = Scene::on_shared_server(Pages::Numbered).await;
    let id = scene.collect(COUNT, PER_PAGE).await;
    kill_five_times(&scene, id).await;
    assert_exactly_once(&scene, id).await;
    let calls = scene.mock.ats().stats().calls as i64;
    assert!(calls <= PAGES + KILLS * FETCHES, "{calls} calls for {PAGES} pages and {KILLS} kills");
}

async fn restart(scene: &Scene, mode: RestartMode) {
    let cluster = scene.database.cluster().clone();
    tokio::task::spawn_blocking(move || cluster.restart(mode)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_of_postgres_in_the_middle_lose_nothing() {
    let scene = Scene::on_own_server(Pages::Numbered).await;
    let id = scene.collect(COUNT, PER_PAGE).await;
    let _workers = [scene.worker(), scene.worker()];
    scene.until(id, |progress| progress.counts.done >= PAGES / 4).await;
    restart(&scene, RestartMode::Fast).await;
    scene.until(id, |progress| progress.counts.done >= PAGES / 2).await;
    restart(&scene, RestartMode::Immediate).await;
    assert_exactly_once(&scene, id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_worker_hands_its_jobs_over() {
    let scene = Scene::on_shared_server(Pages::Numbered).await;
    let id = scene.collect(COUNT, PER_PAGE).await;
    let mut first = scene.worker();
    scene.until(id, |progress| progress.counts.done >= PAGES / 4).await;
    let pid = first.id().unwrap().to_string();
    tokio::process::Command::new("kill").arg(pid).status().await.unwrap();
    let status = first.wait().await.unwrap();
    assert!(status.success(), "SIGTERM is a good end: {status}");
    let _second = scene.worker();
    let end = scene.until(id, |progress| progress.collection.state.is_over()).await;
    assert_eq!(end.collection.state, CollectionState::Completed);
    assert_eq!(scene.counts().await, (2000, 2000, 2000));
    let (live, attempts) = scene.jobs().await;
    assert_eq!((live, attempts), (0, 1), "a shutdown takes no attempt");
    assert_eq!(scene.mock.ats().stats().calls as i64, PAGES, "and re-reads no page");
}
