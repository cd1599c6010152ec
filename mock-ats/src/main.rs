//! Serves a mock applicant tracking system until Ctrl-C, to try the service by hand. `MOCK_ATS_BIND` is the
//! address, 127.0.0.1:8001 if not set.

use anyhow::Context;
use mock_ats::{Ats, Face, MockServer, Settings};

#[expect(clippy::print_stdout, reason = "the URLs are this program's output")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::var("MOCK_ATS_BIND").unwrap_or_else(|_| String::from("127.0.0.1:8001"));
    let server = MockServer::bind(Ats::new(Settings::default()), &address)
        .await
        .with_context(|| format!("binding {address} (MOCK_ATS_BIND)"))?;
    for face in Face::ALL {
        println!("{}{}?count=100&per_page=10&page=1&errors=false&seed=0", server.url(), face.path());
    }
    println!("{}/stats", server.url());
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}
