use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use resume_core::{db::PgPool, source::Source};

use crate::pacer::Pacer;

/// Connecting within a data centre takes milliseconds, across the world a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest call in all. A page of a thousand items from a slow source takes some seconds.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What the handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    pub(crate) http: reqwest::Client,
    pub(crate) parse_delay: Duration,
    pacers: Arc<Mutex<HashMap<String, Arc<Pacer>>>>,
}

impl Context {
    pub(crate) fn new(pool: PgPool, parse_delay: Duration) -> anyhow::Result<Self> {
        // Fails when somebody installed a provider before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("resume-service/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            // A redirect could lead anywhere, and each hop would be a call that nobody counts.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("building the HTTP client")?;
        Ok(Self { pool, http, parse_delay, pacers: Arc::default() })
    }

    /// The pacer of a source: one for all its jobs in this process, made anew when its limit has changed.
    pub(crate) fn pacer(&self, source: &Source) -> Arc<Pacer> {
        let mut pacers = self.pacers.lock().unwrap_or_else(PoisonError::into_inner);
        match pacers.get(&source.name) {
            Some(pacer) if pacer.calls_per_second() == source.calls_per_second => pacer.clone(),
            _ => {
                let pacer = Arc::new(Pacer::new(source.calls_per_second));
                pacers.insert(source.name.clone(), pacer.clone());
                pacer
            }
        }
    }
}
