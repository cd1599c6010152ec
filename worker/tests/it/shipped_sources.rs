//! Every definition in `sources/` collects from a system that behaves as it says.

use std::{collections::BTreeSet, path::Path};

use mock_ats::Api;
use resume_core::{
    collection::{CollectionState, NewCollection},
    source::{
        self,
        definition::{Auth, Definition, Secret},
    },
};
use tempfile::TempDir;

use crate::harness::{Pipeline, collection_of};

/// The definition in a file, for the mock: its address, its credentials.
pub(crate) fn definition(name: &str, mock_url: &str, secrets: &TempDir) -> Definition {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources").join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.lines().count() <= 25, "{name} is longer than a definition need be");
    let mut definition = Definition::from_yaml(&text).unwrap();
    definition.base_url = format!("{mock_url}/mock/{name}");
    definition.allow_private_network = true;
    if let Some(attachments) = &mut definition.attachments {
        attachments.hosts = vec!["localhost".to_owned()];
    }
    definition.auth.iter_mut().for_each(|auth| give_secrets(auth, &definition.base_url, secrets));
    definition.check().unwrap();
    definition
}

fn give_secrets(auth: &mut Auth, base_url: &str, secrets: &TempDir) {
    let secret = |text: &str| {
        let path = secrets.path().join(text);
        std::fs::write(&path, text).unwrap();
        Secret::new(format!("file:{}", path.display()))
    };
    match auth {
        Auth::Basic { user, .. } => *user = secret("mock-key"),
        Auth::Header { name, value, .. } if name == "X-Account-Token" => *value = secret("mock-account"),
        Auth::Bearer(value) | Auth::Header { value, .. } => *value = secret("mock-key"),
        Auth::ClientCredentials { token_url, client_id, client_secret, .. } => {
            *token_url = format!("{base_url}/token");
            (*client_id, *client_secret) = (secret("mock-client"), secret("mock-key"));
        }
        Auth::RefreshToken { .. } | Auth::Login { .. } => panic!("no shipped source has that"),
    }
}

/// Collects all that the mock has, and checks that each person is there once, under the name that the system
/// gives.
async fn collects(api: Api, people: u32) {
    let pipeline = Pipeline::start().await;
    let secrets = tempfile::tempdir().unwrap();
    let name = api.name();
    pipeline.mock.ats().set_people(api, people);
    let definition = definition(name, &pipeline.mock.url(), &secrets);
    source::put(&mut pipeline.pool.acquire().await.unwrap(), &definition).await.unwrap();
    let worker = pipeline.worker();
    let new = NewCollection { count: Some(1_000_000), per_page: Some(1000), ..collection_of(1, name) };
    let id = pipeline.collect(&new).await;
    let progress = pipeline.ended(id).await;
    worker.stop().await;
    assert_eq!(progress.collection.state, CollectionState::Completed, "{name}: {:?}", progress.errors);
    assert_eq!(progress.counts.rate_limited, 0, "{name}: no call was one too many");

    let resumes = sqlx::query!(
        r#"select external_id as "external_id!", skills as "skills!", name,
                  coalesce(json_array_length(document -> 'work_experiences'), 0) > 0 as "has_worked!"
           from resume_list where source = $1"#,
        name
    );
    let resumes = resumes.fetch_all(&pipeline.pool).await.unwrap();
    let ids: BTreeSet<&str> = resumes.iter().map(|resume| resume.external_id.as_str()).collect();
    assert_eq!((ids.len(), resumes.len()), (resumes.len(), progress.counts.parsed as usize), "{name}");
    let files = sqlx::query_scalar!(r#"select count(*) as "count!" from document_attachments"#);
    let files = files.fetch_one(&pipeline.pool).await.unwrap();
    assert_eq!(files > 0, definition.attachments.is_some(), "{name}: {files} attachments");
    let expected: BTreeSet<String> = (0..people.into()).map(|index| api.external_id(index)).collect();
    assert_eq!(ids, expected.iter().map(String::as_str).collect(), "{name}");
    assert!(
        !ids.is_empty() && resumes.iter().all(|resume| resume.name.is_some()),
        "{name}: nobody without a name"
    );
    assert!(resumes.iter().any(|resume| !resume.skills.is_empty()), "{name}: somebody has skills");
    let has_jobs = definition.map.is_some_and(|map| map.work_experiences.is_some());
    assert_eq!(resumes.iter().any(|resume| resume.has_worked), has_jobs, "{name}: somebody has worked");
}

macro_rules! collects {
    ($($name:ident: $api:expr, $people:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            collects($api, $people).await;
        })*
    };
}

collects! {
    greenhouse_v1: Api::GreenhouseV1, 1_010;
    greenhouse_v3: Api::GreenhouseV3, 1_100;
    lever: Api::Lever, 250;
    ashby: Api::Ashby, 250;
    workable: Api::Workable, 9;
    smartrecruiters: Api::SmartRecruiters, 250;
    teamtailor: Api::Teamtailor, 100;
    recruitee: Api::Recruitee, 40;
    breezy: Api::Breezy, 30;
    merge: Api::Merge, 250;
}

#[test]
fn every_file_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let apis = Api::ALL.into_iter().map(Api::name);
    // GitHub is tested in `known_people`. That of files is tested in `imports`.
    let tested = apis.chain(["files-csv"]).map(str::to_owned).collect();
    assert_eq!(files, tested);
}
