use std::collections::HashSet;

use mock_ats::{Face, is_broken};
use serde_json::Value;

use crate::{Client, ids, start};

fn path(face: Face, query: &str) -> String {
    format!("{}?{query}", face.path())
}

async fn pages_by_number(client: &Client, face: Face, query: &str, last: u32) -> Vec<Value> {
    let mut pages = Vec::new();
    for page in 1..=last {
        pages.push(client.page(&path(face, &format!("{query}&page={page}"))).await);
    }
    pages
}

async fn pages_by_link(client: &Client, face: Face, query: &str) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut next = Some(path(face, query));
    while let Some(at) = next {
        let page = client.page(&at).await;
        next = client.next(&page);
        pages.push(page);
    }
    pages
}

#[tokio::test]
async fn links_and_numbers_lead_to_the_same_pages_and_each_person_comes_once() {
    let (_server, client) = start().await;
    for face in Face::ALL {
        for (count, per_page, last) in
            [(1, 10, 1), (10, 10, 1), (11, 10, 2), (97, 7, 14), (5, 1, 5), (1000, 1000, 1)]
        {
            let query = format!("per_page={per_page}&count={count}&seed=42");
            let by_number = pages_by_number(&client, face, &query, last).await;
            let by_link = pages_by_link(&client, face, &query).await;
            assert_eq!(by_number, by_link, "{face:?} {query}");
            let seen: Vec<_> = by_number.iter().flat_map(ids).collect();
            let expected: Vec<_> = (0..count).map(|index| format!("42-{index}")).collect();
            assert_eq!(seen, expected, "{face:?} {query}");
            let past_the_end = client.page(&path(face, &format!("{query}&page={}", last + 1))).await;
            assert_eq!(past_the_end, serde_json::json!({"results": [], "next": null}));
        }
    }
}

#[tokio::test]
async fn the_default_is_a_hundred_whole_people_ten_a_page() {
    let (_server, client) = start().await;
    let pages = pages_by_link(&client, Face::TestData, "").await;
    assert_eq!(pages.len(), 10);
    assert_eq!(pages.iter().flat_map(ids).collect::<HashSet<_>>().len(), 100);
    let expected =
        format!("{}/api/v1/test-data?count=100&per_page=10&page=2&errors=false&seed=0", client.base_url);
    assert_eq!(pages[0]["next"], expected);
}

#[tokio::test]
async fn a_trailing_slash_changes_nothing() {
    let (_server, client) = start().await;
    for face in Face::ALL {
        let with = client.page(&format!("{}/?per_page=3", face.path())).await;
        assert_eq!(with, client.page(&path(face, "per_page=3")).await);
    }
    assert_eq!(client.get("/stats/").await.status(), 200);
}

#[tokio::test]
async fn the_next_link_has_the_host_the_client_used() {
    let (server, client) = start().await;
    let request = client.http.get(client.url("/api/v1/test-data")).header("Host", "ats.example.com:81");
    let page: Value = request.send().await.unwrap().json().await.unwrap();
    assert!(
        page["next"].as_str().unwrap().starts_with("http://ats.example.com:81/api/v1/test-data?"),
        "{page}"
    );
    drop(server);
}

#[tokio::test]
async fn items_are_the_same_bytes_whatever_the_page_size() {
    let (_server, client) = start().await;
    for face in Face::ALL {
        for query in ["count=20&per_page=20&errors=true&seed=8", "count=33&per_page=11&errors=true&seed=8"] {
            let body = client.get(&path(face, query)).await.text().await.unwrap();
            for index in 0..11 {
                let item = mock_ats::item(face, 8, index, true);
                assert!(body.contains(&item), "{face:?} {query} {item}");
            }
        }
    }
}

#[tokio::test]
async fn one_item_in_five_is_broken_where_announced() {
    let (_server, client) = start().await;
    for face in Face::ALL {
        let page = client.page(&path(face, "count=1000&per_page=1000&errors=true&seed=3")).await;
        let whole = client.page(&path(face, "count=1000&per_page=1000&seed=3")).await;
        let pairs = page["results"].as_array().unwrap().iter().zip(whole["results"].as_array().unwrap());
        let broken: Vec<_> =
            pairs.enumerate().filter(|(_, (with, without))| with != without).map(|(i, _)| i as u64).collect();
        let announced: Vec<_> = (0..1000).filter(|&index| is_broken(3, index)).collect();
        assert_eq!(broken, announced, "{face:?}");
        assert_eq!(broken.len(), 200);
    }
}

#[tokio::test]
async fn another_seed_means_other_people() {
    let (_server, client) = start().await;
    for face in Face::ALL {
        let first: HashSet<_> = ids(&client.page(&path(face, "seed=1")).await).into_iter().collect();
        let second = ids(&client.page(&path(face, "seed=18446744073709551615")).await);
        assert!(second.iter().all(|id| !first.contains(id)));
    }
}
