//! Jobs, and a worker for them inside the test process.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use apalis::prelude::{BoxDynError, Data, WorkerBuilder, WorkerError};
use resume_core::{
    db::{Role, pool},
    jobs::ParseDocuments,
};
use resume_queue::{Enqueued, Job, JobId, Lease, NewJob, QueueConfig, Session, SessionSettings, enqueue_all};
use serde_json::Value;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::app::TestApp;

/// The longest that anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The collection that jobs are for where it does not matter.
pub(crate) const COLLECTION: Uuid = Uuid::from_u128(0x019a_9c5b_3c1e_7d2f_8a54_2f1c_8b7e_9d10);

/// A job that parses nothing.
pub(crate) fn new_job() -> NewJob {
    let payload = ParseDocuments { collection_id: COLLECTION, batches: Vec::new() };
    NewJob::new(&payload).unwrap()
}

/// Enqueues jobs, and gives their ids.
pub(crate) async fn enqueue(app: &TestApp, jobs: Vec<NewJob>) -> Vec<JobId> {
    let mut conn = app.pool().acquire().await.unwrap();
    let enqueued = enqueue_all(&mut conn, &jobs).await.unwrap();
    let inserted = |enqueued: &Enqueued| match enqueued {
        Enqueued::Inserted(id) => *id,
        Enqueued::Duplicate(_) => panic!("another job has the unique key"),
    };
    enqueued.iter().map(inserted).collect()
}

type Outcome = Result<(), BoxDynError>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

#[derive(Clone)]
struct Handler(Arc<dyn Fn(Lease) -> Running + Send + Sync>);

/// A session named `tester` that works on `parse_documents` with two slots.
pub(crate) struct TestWorker {
    session: Session,
    run: JoinHandle<Result<(), WorkerError>>,
}

impl TestWorker {
    pub(crate) async fn start<F, Fut>(app: &TestApp, handler: F) -> Self
    where
        F: Fn(Lease) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Outcome> + Send + 'static,
    {
        let pool = pool(app.database_url(), Role::Worker).unwrap();
        let settings = SessionSettings { name: "tester".to_owned(), ..SessionSettings::default() };
        let session = Session::start(pool, settings).await.unwrap();
        let handler = Handler(Arc::new(move |lease| Box::pin(handler(lease))));
        let worker = WorkerBuilder::new("test")
            .backend(session.backend::<ParseDocuments>(QueueConfig::fixed(2)))
            .data(handler)
            .build(handle);
        let run = tokio::spawn(worker.run());
        Self { session, run }
    }

    /// Lets what runs finish.
    pub(crate) async fn stop(self) {
        self.session.shutdown(PATIENCE).await;
        self.run.await.unwrap().unwrap();
    }
}

async fn handle(_: ParseDocuments, lease: Data<Lease>, handler: Data<Handler>) -> Outcome {
    (handler.0.0)(lease.0).await
}

/// Asks for `path` until the reply is as `wanted`; gives it then.
pub(crate) async fn until(app: &TestApp, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let reply = app.get(path).await.json();
            if wanted(&reply) {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reply = tokio::time::timeout(PATIENCE, asked).await;
    match reply {
        Ok(reply) => reply,
        Err(_) => panic!("{path} is at last {}", app.get(path).await.text),
    }
}

/// Waits until a job is in a state; gives the job.
pub(crate) async fn until_job(app: &TestApp, id: JobId, state: &str) -> Value {
    until(app, &format!("/api/v1/jobs/{id}"), |job| job["state"] == state).await
}

/// The name of the kind and queue of [`new_job`].
pub(crate) const KIND: &str = ParseDocuments::KIND;
