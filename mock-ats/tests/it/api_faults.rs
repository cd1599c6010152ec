use std::{collections::HashSet, time::Duration};

use mock_ats::{Api, Ats, Fault, FaultKind, MockServer, Pages, Settings, Times};

use crate::{apis::Reader, start};

const OLD: &str = "/api/v1/test-data?count=50&page=3";

async fn broken(api: Api, kind: FaultKind, pages: Pages, times: Times) -> Reader {
    let reader = Reader::new(api).await;
    reader.server.ats().set_api_faults(api, [Fault::new(kind, pages, times)]);
    reader
}

#[tokio::test]
async fn a_cursor_expires_in_the_middle() {
    for (api, status, word) in
        [(Api::Lever, 400, "Invalid offset token"), (Api::Ashby, 200, "next_cursor_expired")]
    {
        let reader = broken(api, FaultKind::CursorExpired, Pages::One(2), Times::First(1)).await;
        let second = reader.page(&reader.first(100)).await.next.unwrap();
        let expired = reader.page(&second).await;
        assert_eq!((expired.status, expired.ids.len()), (status, 0));
        assert!(expired.body.to_string().contains(word), "{}", expired.body);
        assert_eq!(reader.page(&second).await.ids.len(), 100);
        assert_eq!(reader.server.ats().api_stats(api).faulted, 1);
    }
}

#[tokio::test]
async fn more_is_announced_and_no_token_given() {
    let reader = broken(Api::Lever, FaultKind::NextMissing, Pages::One(1), Times::Always).await;
    let page = reader.page(&reader.first(100)).await;
    assert_eq!(page.body["hasNext"], true);
    assert!(page.body.get("next").is_none());
}

#[tokio::test]
async fn a_chain_without_end_repeats_people_and_no_address() {
    for api in [Api::GreenhouseV1, Api::Lever, Api::Ashby, Api::Workable, Api::Recruitee] {
        let reader = broken(api, FaultKind::NextEndless, Pages::All, Times::Always).await;
        let (mut at, mut seen) = (reader.first(100), HashSet::new());
        for _ in 0..7 {
            let page = reader.page(&at).await;
            assert_eq!(page.ids.len(), 100, "{api:?}");
            assert!(seen.insert(at), "{api:?}");
            at = page.next.unwrap();
        }
    }
}

#[tokio::test]
async fn a_smaller_page_loses_nobody() {
    for api in [Api::GreenhouseV1, Api::Lever, Api::Ashby, Api::Workable] {
        let reader = broken(api, FaultKind::PageSizeHalves, Pages::One(2), Times::First(1)).await;
        let pages = reader.pages(100).await;
        assert_eq!(pages[1].ids.len(), 50, "{api:?}");
        let ids: HashSet<_> = pages.into_iter().flat_map(|page| page.ids).collect();
        assert_eq!(ids.len(), 250, "{api:?}");
    }
}

#[tokio::test]
async fn items_shift_and_change_between_pages() {
    let reader = broken(Api::Lever, FaultKind::ItemsShift, Pages::One(2), Times::Always).await;
    let pages = reader.pages(100).await;
    assert_eq!(pages[1].ids[0], pages[0].ids[99]);
    assert_eq!(pages[1].ids.len(), 101);
    let reader = broken(Api::Lever, FaultKind::ItemChanges, Pages::One(2), Times::Always).await;
    let pages = reader.pages(100).await;
    let (before, after) = (&pages[0].body["data"][99], &pages[1].body["data"][0]);
    assert_eq!(before["id"], after["id"]);
    assert!(before["updatedAt"].as_i64() < after["updatedAt"].as_i64());
    assert_ne!(before["headline"], after["headline"]);
}

/// Five people, two a page. Before the second page somebody comes, or the first one goes.
#[tokio::test]
async fn people_come_and_go_for_good() {
    for (kind, lists) in [
        (FaultKind::PersonComes, ["1 2|2 3|4 5", "6 1|2 3|4 5"]),
        (FaultKind::PersonGoes(0), ["1 2|4 5", "2 3|4 5"]),
    ] {
        let reader = broken(Api::GreenhouseV1, kind, Pages::One(2), Times::First(1)).await;
        reader.server.ats().set_people(Api::GreenhouseV1, 5);
        for list in lists {
            let pages = reader.pages(2).await.into_iter().map(|page| page.ids.join(" "));
            assert_eq!(pages.collect::<Vec<_>>().join("|"), list, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn more_people_are_announced_than_there_are() {
    let reader = broken(Api::SmartRecruiters, FaultKind::AnnouncesMore(7), Pages::All, Times::Always).await;
    let page = reader.page(&reader.first(100)).await;
    assert_eq!((page.body["totalFound"].as_u64(), page.ids.len()), (Some(257), 100));
}

#[tokio::test]
async fn the_credential_changes_in_the_middle() {
    let mut reader =
        broken(Api::Workable, FaultKind::CredentialsRotate, Pages::One(2), Times::First(1)).await;
    let second = reader.page(&reader.first(100)).await.next.unwrap();
    assert_eq!(reader.page(&second).await.status, 401);
    assert_eq!(reader.page(&second).await.status, 401);
    reader.key = "mock-key-2";
    assert_eq!(reader.page(&second).await.status, 200);
}

#[tokio::test]
async fn retry_after_can_be_a_date_of_a_wrong_clock() {
    let kind = FaultKind::RateLimitedUntil { retry_after_seconds: 5, clock_skew_seconds: -3600 };
    let (server, client) = start().await;
    server.ats().set_faults([Fault::new(kind, Pages::All, Times::First(1))]);
    let response = client.get(OLD).await;
    assert_eq!(response.status(), 429);
    let time = |name: &str| httpdate::parse_http_date(response.headers()[name].to_str().unwrap()).unwrap();
    assert_eq!(time("retry-after").duration_since(time("date")).unwrap(), Duration::from_secs(5));
    assert!(time("date").elapsed().unwrap() > Duration::from_secs(3590));
    assert_eq!(server.ats().stats().rate_limited, 1);
}

#[tokio::test]
async fn a_page_can_be_huge() {
    let reader = broken(Api::Recruitee, FaultKind::HugePage, Pages::All, Times::Always).await;
    let text = reader.get(&reader.first(10)).await.text().await.unwrap();
    assert_eq!(text.len(), 10_000_000);
    assert_eq!(reader.page(&reader.first(10)).await.ids.len(), 10);
}

#[tokio::test]
async fn a_small_body_can_be_a_bomb() {
    let (server, client) = start().await;
    server.ats().set_faults([Fault::new(FaultKind::GzipBomb, Pages::All, Times::Always)]);
    let small = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let body = small.get(client.url(OLD)).send().await.unwrap();
    assert_eq!(body.headers()["content-encoding"], "gzip");
    assert!(body.bytes().await.unwrap().len() < 150_000);
    let mut response = client.get(OLD).await;
    let mut inflated = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        inflated += chunk.len();
        if inflated > 1_000_000 {
            break;
        }
    }
    assert!(inflated > 1_000_000);
}

#[tokio::test]
async fn a_redirect_leads_to_another_host() {
    let other = MockServer::start(Ats::new(Settings::without_latency())).await.unwrap();
    for (api, at) in [(None, OLD), (Some(Api::Lever), "/mock/lever/v1/opportunities?limit=1")] {
        let (server, client) = start().await;
        let fault = [Fault::new(FaultKind::Redirect(other.address()), Pages::All, Times::Always)];
        match api {
            Some(api) => server.ats().set_api_faults(api, fault),
            None => server.ats().set_faults(fault),
        }
        let stay = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let call = stay.build().unwrap().get(client.url(at)).basic_auth("mock-key", Some(""));
        let response = call.send().await.unwrap();
        assert_eq!(response.status(), 302);
        let location = response.headers()["location"].to_str().unwrap();
        assert!(
            location.starts_with(&format!("{}{}", other.url(), at.split('?').next().unwrap())),
            "{location}"
        );
    }
    assert_eq!(other.ats().stats().calls, 0);
}
