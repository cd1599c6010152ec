//! Calls over real connections, to a server that answers what a test wants byte by byte.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod auth;
mod bodies;
mod downloads;
mod paging;
mod refusals;
mod safety;
mod server;
mod shared_tokens;
mod steps;
mod tokens;

use resume_connector::{Answer, Connector, Timeouts};
use resume_core::source::definition::{Definition, Step, Values};
use serde_json::{Value, json};

use server::Server;

fn connector() -> Connector {
    Connector::new(Timeouts::default(), std::env::temp_dir()).unwrap()
}

/// A definition of a source at this server, with some members in place of the usual ones.
fn definition(server: &Server, list: Value, others: Value) -> Definition {
    let mut definition = json!({
        "name": "ats", "base_url": server.url("/v1"), "allow_private_network": true,
        "limits": [{"calls": 1, "per": "1s"}], "format": "profile", "list": list,
    });
    definition.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    serde_json::from_value(definition).unwrap()
}

fn list(paging: Value) -> Value {
    json!({"path": "/people", "params": {"limit": "{per_page}"}, "items": "/data", "paging": paging})
}

fn values() -> Values {
    Values {
        count: Some(10),
        per_page: 2,
        page: 3,
        offset: 4,
        since: None,
        until: None,
        seed: 0,
        error_mode: false,
        parent: None,
        id: None,
    }
}

async fn call(definition: &Definition, link: Option<&str>) -> Answer {
    connector().call(definition, Step::List, &definition.base_url, link, &values()).await
}

fn code(answer: &Answer) -> String {
    code_of(answer)
}

fn code_of<T: std::fmt::Debug>(answer: &Answer<T>) -> String {
    answer.result.as_ref().unwrap_err().code().unwrap()
}
