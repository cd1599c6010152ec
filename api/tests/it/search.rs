use serde_json::{Value, json};

use crate::app::TestApp;

fn person(id: usize, skills: &[&str]) -> Value {
    json!({"id": format!("p-{id}"), "skills": skills, "work_experiences": []})
}

fn external_ids(page: &Value) -> Vec<&str> {
    page["results"].as_array().unwrap().iter().map(|r| r["external_id"].as_str().unwrap()).collect()
}

async fn search(app: &TestApp, query: &str) -> Value {
    let reply = app.get(&format!("/api/v1/resumes/search?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.text);
    reply.json()
}

#[tokio::test]
async fn any_and_all() {
    let app = TestApp::start().await;
    app.store(&[
        person(1, &["React"]),
        person(2, &["SQL", "Go"]),
        person(3, &["SQL", "ReactJS"]),
        person(4, &["Go"]),
    ])
    .await;
    assert_eq!(external_ids(&search(&app, "skills=React,SQL").await), ["p-3", "p-2", "p-1"]);
    assert_eq!(external_ids(&search(&app, "skills=React,SQL&match=any").await), ["p-3", "p-2", "p-1"]);
    assert_eq!(external_ids(&search(&app, "skills=React,SQL&match=all").await), ["p-3"]);
    assert_eq!(external_ids(&search(&app, "skills=%20react%20,,sQl").await), ["p-3", "p-2", "p-1"]);
    assert_eq!(external_ids(&search(&app, "skills=React&skills=SQL&match=all").await), ["p-3"]);
    assert_eq!(external_ids(&search(&app, "skills=C%2B%2B").await), [""; 0]);
    assert_eq!(search(&app, "skills=React,SQL").await["total"], json!({"value": 3, "exact": true}));
}

#[tokio::test]
async fn one_full_result() {
    let app = TestApp::start().await;
    let mut document = person(1, &["ReactJS", "SQL", "Go"]);
    document["name"] = json!("Ada Lovelace");
    document["email"] = json!("ada@example.org");
    document["work_experiences"] = json!([
        {"company": "Initech", "title": "Engineer", "start_date": "2024-01-01", "end_date": null, "team": "B"},
    ]);
    app.store(&[document]).await;
    let page = search(&app, "skills=react,sql").await;
    insta::assert_json_snapshot!(page, {
        ".results[].created_at" => "[time]",
        ".results[].updated_at" => "[time]",
    });
}

#[tokio::test]
async fn results_are_read_page_by_page() {
    let app = TestApp::start().await;
    let people: Vec<Value> = (0..25).map(|i| person(i, &["SQL"])).collect();
    app.store(&people).await;
    assert_eq!(external_ids(&search(&app, "skills=SQL").await).len(), 20, "the default");
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = search(&app, &format!("skills=SQL&limit=10{cursor}")).await;
        assert_eq!(page["total"]["value"], 25);
        seen.extend(external_ids(&page).into_iter().map(str::to_owned));
        sizes.push(external_ids(&page).len());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        // What comes in while somebody reads does not move what is to come.
        app.store(&[json!({"id": format!("new-{}", sizes.len()), "skills": ["Go"]})]).await;
    }
    let expected: Vec<String> = (0..25).rev().map(|i| format!("p-{i}")).collect();
    assert_eq!((seen, sizes), (expected, vec![10, 10, 5]));
}

#[tokio::test]
async fn bad_skills_are_refused() {
    let app = TestApp::start().await;
    let (most, too_many) = (vec!["x"; 50].join(","), vec!["x"; 51].join(","));
    let (longest, too_long) = ("ü".repeat(128), "ü".repeat(129));
    for query in [
        "",
        "skills=",
        "skills=,,%20,",
        "match=all",
        &format!("skills={too_many}"),
        &format!("skills=a,{too_long}"),
        "skills=%00",
        "skills=a%00b",
        "skills=React,%00",
    ] {
        app.get(&format!("/api/v1/resumes/search?{query}")).await.names(&["skills"]);
    }
    for skills in [&most, &longest] {
        search(&app, &format!("skills={skills}")).await;
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let app = TestApp::start().await;
    let page =
        |parameter: &str, value: &str| format!("/api/v1/resumes/search?skills=SQL&{parameter}={value}");
    for value in ["some", "ANY", "", "%00", "any,all"] {
        let reply = app.get(&page("match", value)).await;
        reply.names(&["match"]);
        assert_eq!(reply.json()["errors"][0]["detail"], "must be one of any, all");
    }
    for value in ["0", "101", "-5", "ten", "", "1e1"] {
        let reply = app.get(&page("limit", value)).await;
        reply.names(&["limit"]);
        assert_eq!(reply.json()["errors"][0]["detail"], "must be a whole number from 1 to 100");
    }
    for value in ["", "42", "forged", "%00", "02000000000000002a00000000", "%F0%9F%A6%80"] {
        app.get(&page("cursor", value)).await.names(&["cursor"]);
    }
}

#[tokio::test]
async fn the_cursor_of_another_list_is_refused() {
    let app = TestApp::start().await;
    app.store(&[person(1, &["SQL"]), person(2, &["SQL"])]).await;
    let page = search(&app, "skills=SQL&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    app.get(&format!("/api/v1/data-collection?cursor={cursor}")).await.names(&["cursor"]);
    let cut = &cursor[..cursor.len() - 1];
    app.get(&format!("/api/v1/resumes/search?skills=SQL&cursor={cut}")).await.names(&["cursor"]);
}
