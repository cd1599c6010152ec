use mock_ats::Face;

use crate::start;

#[tokio::test]
async fn bad_parameters_are_named_and_not_counted() {
    let (server, client) = start().await;
    for face in Face::ALL {
        for (query, detail) in [
            ("count=0", "must be a whole number from 1 to 1000000"),
            ("count=1000001", "must be a whole number from 1 to 1000000"),
            ("per_page=0", "must be a whole number from 1 to 1000"),
            ("per_page=1001", "must be a whole number from 1 to 1000"),
            ("page=0", "must be a whole number from 1 to 4294967295"),
            ("page=one", "must be a whole number from 1 to 4294967295"),
            ("errors=maybe", "must be true or false"),
            ("seed=-1", "must be a whole number from 0 to 18446744073709551615"),
        ] {
            let problem = client.problem(&format!("{}?{query}", face.path()), 400).await;
            let field = query.split('=').next().unwrap();
            assert_eq!(problem["detail"], format!("{field}: {detail}"));
            assert_eq!(problem["errors"], serde_json::json!([{"field": field, "detail": detail}]));
        }
    }
    assert_eq!(server.ats().stats().calls, 0);
}

#[tokio::test]
async fn whatever_else_is_a_problem_too() {
    let (_server, client) = start().await;
    client.problem("/api/v2/test-data", 404).await;
    let response = client.http.post(client.url("/api/v1/test-data")).send().await.unwrap();
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}
