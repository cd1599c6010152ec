use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;

use super::Client;

/// What was deleted of a person.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Erased {
    pub(crate) documents: u64,
    pub(crate) attachments: u64,
    pub(crate) calls: u64,
}

impl Client {
    pub(crate) async fn erase_resume(&self, id: i64) -> Result<Erased> {
        self.send(self.http.delete(self.address(&format!("resumes/{id}")))).await
    }

    pub(crate) async fn erase_person(&self, source: &str, external_id: &str) -> Result<Erased> {
        self.send(self.http.delete(self.person(source, external_id, None)?)).await
    }

    pub(crate) async fn lift_erasure(&self, source: &str, external_id: &str) -> Result<()> {
        self.answer(self.http.delete(self.person(source, external_id, Some("erasure"))?)).await?;
        Ok(())
    }

    pub(crate) async fn export_person(&self, source: &str, external_id: &str) -> Result<Value> {
        self.send(self.http.get(self.person(source, external_id, Some("export"))?)).await
    }

    fn person(&self, source: &str, external_id: &str, what: Option<&str>) -> Result<reqwest::Url> {
        // They are left out of an address, which is another one then.
        if matches!(external_id, "." | "..") {
            bail!("{external_id:?} cannot stand in an address: name the person by --resume");
        }
        let rest: Vec<&str> = ["people", external_id].into_iter().chain(what).collect();
        self.named("sources", source, &rest)
    }
}
