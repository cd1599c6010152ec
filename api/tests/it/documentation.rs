use crate::app::TestApp;

#[test]
fn openapi_yaml_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.yaml");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == resume_api::spec_yaml(),
        "openapi.yaml is stale: run `cargo run -- openapi > openapi.yaml`"
    );
}

#[test]
fn nothing_in_the_description_ends_the_script_it_stands_in() {
    assert!(!resume_api::spec_yaml().to_lowercase().contains("</script"));
}

#[tokio::test]
async fn the_description_is_served() {
    let app = TestApp::start().await;
    let yaml = app.get("/openapi.yaml").await;
    assert_eq!(yaml.header("content-type"), Some("application/yaml"));
    assert_eq!(yaml.text, resume_api::spec_yaml());
    let json = app.get("/openapi.json").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.json()["info"]["title"], "Resume Service");
}

#[tokio::test]
async fn the_page_asks_nobody_else() {
    let app = TestApp::start().await;
    let home = app.get("/").await;
    assert_eq!((home.status.as_u16(), home.header("location")), (303, Some("/docs")));
    let page = app.get("/docs").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    for tag in page.text.split('<').filter(|tag| tag.starts_with("link ") || tag.starts_with("script ")) {
        let tag = tag.split('>').next().unwrap();
        assert!(!tag.contains("src=") && !tag.contains("href="), "{tag}");
    }
}

#[tokio::test]
async fn every_operation_is_described() {
    let app = TestApp::start().await;
    let spec = app.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in spec["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            operations.push(format!("{} {path}: {id}", method.to_uppercase()));
            for text in ["summary", "description"] {
                assert!(operation[text].is_string(), "{id} lacks a {text}");
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{id} {}", parameter["name"]);
            }
        }
    }
    operations.sort();
    insta::assert_snapshot!(operations.join("\n"));
}
