//! The system as an HTTP client sees it, over real connections.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod api_faults;
mod apis;
mod faults;
mod limit;
mod paging;
mod speed;
mod validation;

use std::time::Duration;

use mock_ats::{Ats, MockServer, Settings};
use serde_json::Value;

/// A server without latency and practically without limit, and a client.
async fn start() -> (MockServer, Client) {
    start_with(Settings { calls_per_second: u32::MAX, ..Settings::without_latency() }).await
}

async fn start_with(settings: Settings) -> (MockServer, Client) {
    let server = MockServer::start(Ats::new(settings)).await.unwrap();
    let client = Client::new(server.url());
    (server, client)
}

/// An HTTP client of one server.
struct Client {
    http: reqwest::Client,
    base_url: String,
}

impl Client {
    fn new(base_url: String) -> Self {
        // reqwest asks for a TLS provider even when every URL is plain; the second test finds it installed.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
        Self { http, base_url }
    }

    fn url(&self, path_and_query: &str) -> String {
        format!("{}{path_and_query}", self.base_url)
    }

    async fn get(&self, path_and_query: &str) -> reqwest::Response {
        self.http.get(self.url(path_and_query)).send().await.unwrap()
    }

    /// The JSON of a reply that has to be 200.
    async fn page(&self, path_and_query: &str) -> Value {
        let response = self.get(path_and_query).await;
        assert_eq!(response.status(), 200, "{path_and_query}");
        assert_eq!(response.headers()["content-type"], "application/json");
        response.json().await.unwrap()
    }

    /// The JSON of a problem reply, whose status is checked.
    async fn problem(&self, path_and_query: &str, status: u16) -> Value {
        let response = self.get(path_and_query).await;
        assert_eq!(response.status(), status, "{path_and_query}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        problem
    }

    /// The path and query of the next link, which has to lead to this server.
    fn next(&self, page: &Value) -> Option<String> {
        let next = page["next"].as_str()?;
        Some(next.strip_prefix(&self.base_url).expect("next links stay on the host").to_owned())
    }
}

fn ids(page: &Value) -> Vec<String> {
    page["results"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}
