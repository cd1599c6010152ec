//! During a rolling update a newer process may have written a definition.

use resume_core::source::{self, definition::Definition};
use serde_json::{Value, json};

use crate::fixture::Fixture;

const NAME: &str = "newer";

async fn fixture(newer: &[(&str, Value)]) -> Fixture {
    let fixture = Fixture::new().await;
    let yaml = "{name: newer, base_url: https://ats.example, limits: [{calls: 1, per: 1s}], \
                list: {path: /people, items: /data, paging: {cursor: {token: /next, param: after}}}, \
                detail: {path: '/people/{id}'}, format: mapped, map: {name: name}}";
    let mut conn = fixture.pool().acquire().await.unwrap();
    source::put(&mut conn, &Definition::from_yaml(yaml).unwrap()).await.unwrap();
    for (at, value) in newer {
        let path: Vec<String> = at.split('/').map(str::to_owned).collect();
        sqlx::query!(
            "update sources set definition = jsonb_set(definition, $2, $3) where name = $1",
            NAME,
            &path,
            value
        )
        .execute(&mut *conn)
        .await
        .unwrap();
    }
    drop(conn);
    fixture
}

/// At any depth, and in the map, which is read without the rest.
#[tokio::test]
async fn fields_of_a_newer_version_are_ignored() {
    let plain = fixture(&[]).await;
    let newer = fixture(&[
        ("colour", json!("red")),
        ("a~b", json!([1])),
        ("list/sort", json!({"by": "id"})),
        ("list/paging/cursor/prefetch", json!(3)),
        ("detail/method", json!("post")),
        ("limits/0/jitter", json!("1s")),
        ("map/phone", json!("phones[0]")),
    ])
    .await;
    let find = async |fixture: &Fixture| {
        let mut conn = fixture.pool().acquire().await.unwrap();
        source::find(&mut conn, NAME).await.unwrap().unwrap().definition
    };
    assert_eq!(find(&newer).await, find(&plain).await);
    let map = async |fixture: &Fixture| source::mapping(fixture.pool(), NAME).await.unwrap();
    assert_eq!(map(&newer).await, map(&plain).await);
    assert!(source::all(newer.pool()).await.is_ok());
}

#[tokio::test]
async fn a_value_of_a_newer_version_is_told_from_other_errors() {
    for (at, value) in [
        ("overlapping_runs", json!("merge")),
        ("format", json!("hr_xml")),
        ("list/paging", json!({"graph": {"edges": "/edges"}})),
    ] {
        let fixture = fixture(&[(at, value)]).await;
        let mut conn = fixture.pool().acquire().await.unwrap();
        let error = source::find(&mut conn, NAME).await.unwrap_err();
        assert!(source::is_of_newer_version(&error), "{at}: {error}");
    }
    assert!(!source::is_of_newer_version(&sqlx::Error::RowNotFound));
}
