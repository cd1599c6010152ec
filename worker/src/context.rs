use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use resume_connector::{Answer, Connector, Timeouts};
use resume_core::{db::PgPool, erasure};

use crate::{
    Settings,
    bases::{Base, Bases},
    details::Details,
    lag::Lag,
    permit::Permits,
    readers::Readers,
    tokens::SharedTokens,
};

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) pool: PgPool,
    /// The name of this process among the workers.
    pub(crate) worker: Arc<str>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) parse_delay: Duration,
    pub(crate) permits: Arc<Permits>,
    pub(crate) bases: Arc<Bases>,
    pub(crate) lag: Arc<Lag>,
    pub(crate) details: Details,
    pub(crate) readers: Arc<Readers>,
    pub(crate) erasure_key: Option<erasure::Key>,
}

impl Context {
    pub(crate) fn new(
        pool: PgPool,
        (worker_id, worker): (i64, &str),
        settings: &Settings,
    ) -> anyhow::Result<Self> {
        let connector = Connector::new(Timeouts::default(), settings.secrets_dir.clone())
            .context("setting up the calls to sources")?
            .sharing(Arc::new(SharedTokens::new(pool.clone())));
        let permits = Arc::new(Permits::new(pool.clone(), worker_id));
        let lag = Arc::new(Lag::new(pool.clone(), settings.backlog_max));
        let details = Details::new(pool.clone());
        Ok(Self {
            pool,
            worker: worker.into(),
            connector: Arc::new(connector),
            parse_delay: settings.parse_delay,
            permits,
            bases: Arc::default(),
            lag,
            details,
            readers: Arc::default(),
            erasure_key: settings.erasure_key.clone(),
        })
    }

    /// Lets the calls that follow go where this one was answered, or elsewhere.
    pub(crate) fn note_base<T>(&self, base: Base<'_>, answer: &Answer<T>) {
        match &answer.result {
            Ok(_) => self.bases.answered(base),
            Err(error) => {
                let is_denied = matches!(answer.status, Some(401 | 403));
                if error.is_passing() && error.code().is_some() && !is_denied {
                    self.bases.failed(base);
                }
            }
        }
    }
}
