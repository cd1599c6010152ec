//! Files that become resumes.

use std::{io::Cursor, path::Path};

use resume_core::{
    collection::{self, BegunImport, CollectionState, IMPORT_PER_PAGE, NewImport, Progress},
    import::{Container, document, read_items},
    source::{self, definition::Definition},
};
use serde_json::json;
use uuid::Uuid;

use crate::harness::Pipeline;

/// Imports a file, as the API does.
async fn import(pipeline: &Pipeline, definition: &Definition, container: Container, file: &str) -> Uuid {
    let mut items: Vec<Vec<u8>> = Vec::new();
    read_items(container, definition, &mut Cursor::new(file), |item| items.push(item.to_vec())).unwrap();
    let new = NewImport {
        source: definition.name.clone(),
        container,
        content_hash: [0; 32],
        count: items.len() as u64,
        per_page: IMPORT_PER_PAGE,
        pages: items.len().div_ceil(IMPORT_PER_PAGE as usize) as u32,
        idempotency_key: None,
    };
    let mut tx = pipeline.pool.begin().await.unwrap();
    source::put(&mut tx, definition).await.unwrap();
    let BegunImport::New(mut import) = collection::begin_import(&mut tx, &new).await.unwrap() else {
        panic!("it has no key");
    };
    for page in items.chunks(IMPORT_PER_PAGE as usize) {
        let page: Vec<_> = page.iter().map(|item| document(definition, item)).collect();
        import.store_page(&mut tx, &page, None).await.unwrap();
    }
    let id = import.finish(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// The definition in `sources/` reads a table as spreadsheets write them.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_becomes_resumes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources/files-csv.yaml");
    let definition = Definition::from_yaml(&std::fs::read_to_string(path).unwrap()).unwrap();
    let pipeline = Pipeline::start().await;
    let file = "\u{feff}Candidate ID;Full Name;Current Title;Current Company;Since;E-mail;City;Country;Skills\r\n\
                7;\"Byron, Ada\";Engineer;Acme;03/2019;ada@example.org;London;GB;\"React; SQL, Go\"\r\n\
                8;Bob;;;;;;;\r\n\
                ;Nobody;;;;;;;\r\n";
    let worker = pipeline.worker();
    let id = import(&pipeline, &definition, Container::Csv, file).await;
    let progress = pipeline.ended(id).await;
    worker.stop().await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.parsed, progress.failed(), progress.counts.made), (2, 1, 0));
    assert_eq!(progress.errors[0].code, "missing_id", "a row without an id fails alone");
    let resumes = sqlx::query!(
        r#"select external_id as "external_id!", skills as "skills!", document as "document!"
           from resume_list order by external_id"#
    );
    let resumes = resumes.fetch_all(&pipeline.pool).await.unwrap();
    assert_eq!(resumes[0].skills, ["react", "sql", "go"]);
    let ada = &resumes[0].document;
    assert_eq!((&ada["name"], &ada["location"]), (&json!("Byron, Ada"), &json!("London, GB")), "{ada}");
    assert_eq!(
        ada["work_experiences"],
        json!([{"company": "Acme", "title": "Engineer", "start_date": "2019-03"}]),
        "{ada}"
    );
    assert_eq!((resumes[1].external_id.as_str(), &resumes[1].document["name"]), ("8", &json!("Bob")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_can_be_cancelled_and_gone_on_with() {
    let pipeline = Pipeline::start().await;
    let definition = Definition::from_yaml("{name: files, files: {}, format: profile}").unwrap();
    let line = |id: u32| format!("{}\n", json!({"id": id, "skills": ["SQL"], "work_experiences": []}));
    let id = import(&pipeline, &definition, Container::Ndjson, &(0..700).map(line).collect::<String>()).await;
    let mut conn = pipeline.pool.acquire().await.unwrap();
    collection::cancel(&mut conn, id).await.unwrap();
    drop(conn);
    let worker = pipeline.worker();
    // Some of its jobs may run before they are ended.
    let is_settled = |progress: &Progress| progress.counts.parsed + progress.failed() == 700;
    let ended = pipeline.until(id, "its jobs are ended", is_settled).await;
    assert_eq!(ended.collection.state, CollectionState::Cancelled);
    assert!(ended.errors.iter().all(|error| error.code == "cancelled_by_request"), "{:?}", ended.errors);

    assert_eq!(pipeline.continue_collection(id).await, 0, "there is no page to fetch");
    let progress = pipeline.ended(id).await;
    assert_ne!(progress.collection.state, CollectionState::Failed);
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (2, 0));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_parsed_by_many_jobs() {
    let pipeline = Pipeline::start().await;
    let definition = Definition::from_yaml("{name: files, files: {}, format: profile}").unwrap();
    let line = |id: u32| format!("{}\n", json!({"id": id, "skills": ["SQL", "Go"], "work_experiences": []}));
    let file: String = (0..20_000).map(line).collect();
    let id = import(&pipeline, &definition, Container::Ndjson, &file).await;
    let worker = pipeline.worker();
    let progress = pipeline.ended(id).await;
    worker.stop().await;
    assert_eq!((progress.collection.state, progress.counts.parsed), (CollectionState::Completed, 20_000));
}
