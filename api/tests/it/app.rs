use std::{sync::Arc, time::Duration};

use chrono::DateTime;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use resume_api::{AppState, DryCalls};
use resume_connector::{Connector, Timeouts};
use resume_core::{
    db::{PgPool, migrators},
    document::{self, Batch, NewDocument, Origin},
    parsing::{Format, id_at, parse},
    resume::{self, NewResume, Outcome, Settled},
    source::{self, DEFAULT_SOURCE, definition::Definition},
};
use resume_postgres::{Cluster, testing::TestDatabase};
use serde_json::Value;
use sqlx::Row;
use tokio::{sync::oneshot, task::JoinHandle};
use uuid::Uuid;

/// The interface on a port of its own, with a database of its own that knows the sources `json-resumes` and
/// `test-data`.
pub(crate) struct TestApp {
    pub(crate) base_url: String,
    http: reqwest::Client,
    spec: Value,
    _shutdown: oneshot::Sender<()>,
    _server: JoinHandle<()>,
    database: Option<TestDatabase>,
}

/// A client that follows no redirect.
pub(crate) fn client() -> reqwest::Client {
    // reqwest asks for a TLS provider even when every URL is plain; the second test finds it installed.
    drop(rustls::crypto::ring::default_provider().install_default());
    let redirect = reqwest::redirect::Policy::none();
    reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().redirect(redirect).build().unwrap()
}

/// A reply, which was held against the description.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

fn dry_calls(private_networks: bool) -> Arc<DryCalls> {
    let connector = Connector::new(Timeouts::default(), std::env::temp_dir()).unwrap();
    Arc::new(DryCalls::new(connector, private_networks))
}

impl TestApp {
    /// With the mock source behind it, which answers at once.
    pub(crate) async fn start() -> Self {
        let settings = mock_ats::Settings::without_latency();
        Self::start_with(Some(mock_ats::Ats::new(settings))).await
    }

    pub(crate) async fn start_with(test_data: Option<mock_ats::Ats>) -> Self {
        Self::on(TestDatabase::new(&migrators()).await.unwrap(), test_data).await
    }

    /// Without the mock source; whether its dry calls may go to private networks.
    pub(crate) async fn with_dry_calls(private_networks: bool) -> Self {
        let database = TestDatabase::new(&migrators()).await.unwrap();
        let dry_calls = Some(dry_calls(private_networks));
        let state = AppState { pool: database.pool().clone(), erasure_key: None, dry_calls };
        Self { database: Some(database), ..Self::serve(state, None).await }
    }

    /// With a server of its own, for tests that restart it.
    pub(crate) async fn on_own_cluster() -> Self {
        Self::on(TestDatabase::on_own_cluster(&migrators()).await.unwrap(), None).await
    }

    async fn on(database: TestDatabase, test_data: Option<mock_ats::Ats>) -> Self {
        for name in ["json-resumes", DEFAULT_SOURCE] {
            let path = format!("/api/v1/{name}");
            let definition = Definition::original(name, "http://127.0.0.1:9", &path, 30);
            source::put(&mut database.pool().acquire().await.unwrap(), &definition).await.unwrap();
        }
        let dry_calls = Some(dry_calls(true));
        let state = AppState { pool: database.pool().clone(), erasure_key: None, dry_calls };
        Self { database: Some(database), ..Self::serve(state, test_data).await }
    }

    /// With a database that nobody listens for.
    pub(crate) async fn without_database() -> Self {
        let url = "postgres://nobody@localhost/none?host=/nonexistent";
        let pool = resume_core::db::pool(url, resume_core::db::Role::Api).unwrap();
        Self::serve(AppState { pool, erasure_key: None, dry_calls: None }, None).await
    }

    async fn serve(state: AppState, mock: Option<mock_ats::Ats>) -> Self {
        let bound = resume_api::bind(("127.0.0.1", 0)).await.unwrap();
        let base_url = format!("http://{}", bound.address());
        let (shutdown, dropped) = oneshot::channel::<()>();
        let app = resume_api::app(state, mock.map(mock_ats::app));
        let server =
            tokio::spawn(async move { bound.serve(app, async { drop(dropped.await) }).await.unwrap() });
        let http = client();
        let spec = http.get(format!("{base_url}/openapi.json")).send().await.unwrap().json().await.unwrap();
        Self { base_url, http, spec, _shutdown: shutdown, _server: server, database: None }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.as_ref().unwrap().pool()
    }

    pub(crate) fn database_url(&self) -> &str {
        self.database.as_ref().unwrap().url()
    }

    /// A `PUT` with this text as JSON.
    pub(crate) async fn put(&self, path: &str, body: &str) -> Reply {
        let request = self.request(Method::PUT, path).header("content-type", "application/json");
        self.send(request.body(body.to_owned())).await
    }

    /// A `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// The server of [`TestApp::on_own_cluster`].
    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        self.database.as_ref().unwrap().cluster()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base_url))
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    /// A `POST` with this text as JSON.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.send(request.body(body.to_owned())).await
    }

    pub(crate) async fn trigger(&self, body: &str) -> Reply {
        self.post("/api/v1/data-collection/trigger", body).await
    }

    /// Triggers and gives the id.
    pub(crate) async fn collection(&self, body: &str) -> Uuid {
        let reply = self.trigger(body).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        reply.json()["data_request_id"].as_str().unwrap().parse().unwrap()
    }

    /// Sends a request, and checks that the description lists the status and media type of the reply.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let reply = Reply { status, headers, text: response.text().await.unwrap() };
        assert!(reply.headers.contains_key("x-request-id"));
        if let Some(operation) = self.operation(&method, &path) {
            let described = &operation["responses"][reply.status.as_str()];
            assert!(described.is_object(), "{method} {path} gave {}: not in the description", reply.status);
            let bare = |media_type: &str| media_type.split(';').next().unwrap().to_owned();
            let media_type = bare(reply.header("content-type").unwrap());
            let mut described = described["content"].as_object().unwrap().keys();
            assert!(described.any(|given| bare(given) == media_type), "{method} {path} gave {media_type}");
        }
        reply
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (here, there) = (path.trim_end_matches('/').split('/'), template.split('/'));
            here.clone().count() == there.clone().count()
                && here.zip(there).all(|(a, b)| a == b || b.starts_with('{'))
        };
        let paths = self.spec["paths"].as_object().unwrap();
        // What has no parameter hides what has.
        let item = paths
            .get(path.trim_end_matches('/'))
            .or_else(|| paths.iter().find_map(|(template, item)| fits(template).then_some(item)))?;
        item.get(method.as_str().to_lowercase())
    }

    /// How many jobs and collections there are: what a refused request must not change.
    pub(crate) async fn enqueued(&self) -> (i64, i64) {
        let counts = sqlx::raw_sql("select (select count(*) from jobs), (select count(*) from collections)");
        let row = counts.fetch_one(self.pool()).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// Stores resumes of the original shape, in this order.
    pub(crate) async fn store(&self, documents: &[Value]) {
        let mut conn = self.pool().acquire().await.unwrap();
        let source_id = source::find(&mut conn, DEFAULT_SOURCE).await.unwrap().unwrap().id;
        for document in documents {
            let origin = self.origin(source_id).await;
            let body = document.to_string().into_bytes();
            let items = [NewDocument::with_id(id_at(&body, "/id"), &body)];
            let document_id = document::store(&mut conn, origin, None, &items).await.unwrap().ids[0];
            let batches = [Batch { first_id: document_id, last_id: document_id }];
            document::open_batches(&mut conn, origin.collection_id, &batches).await.unwrap();
            let person_id = document::find(self.pool(), document_id).await.unwrap().unwrap().resume_id;
            let parsed = parse(Format::Profile, items[0].external_id.as_deref(), &body).unwrap();
            let new = NewResume { document_id, person_id, is_overtaken: false, parsed };
            let outcome = Outcome { parsed: vec![new], failed: Vec::new() };
            let of = (source_id, origin.collection_id);
            let settled = resume::settle(&mut conn, of.0, of.1, &[document_id], 0, &outcome).await.unwrap();
            assert_eq!(settled, Settled::Stored);
        }
    }

    /// The only call of a collection that was started for it, and has brought nothing yet.
    pub(crate) async fn origin(&self, source_id: i32) -> Origin {
        let collection_id = Uuid::now_v7();
        let text = format!(
            "insert into calls (collection_id, step) values ('{collection_id}', 'list') returning id"
        );
        let call = sqlx::raw_sql(sqlx::AssertSqlSafe(text)).fetch_one(self.pool()).await.unwrap();
        Origin {
            source_id,
            collection_id,
            call_id: call.get(0),
            first_document_id: 0,
            collected_at: DateTime::UNIX_EPOCH,
        }
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of a problem, whose form, status and type are checked.
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:resume-service:problem:{kind}"), "{problem}");
        assert_eq!(problem["instance"], format!("urn:uuid:{}", self.header("x-request-id").unwrap()));
        assert!(
            !problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty()
        );
        problem
    }

    /// Checks that it is a 400 which names exactly these fields.
    pub(crate) fn names(&self, fields: &[&str]) {
        let problem = self.problem(400, "invalid-request");
        let named: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{problem}");
    }
}
