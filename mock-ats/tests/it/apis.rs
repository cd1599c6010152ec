use std::time::{SystemTime, UNIX_EPOCH};

use mock_ats::{Api, MockServer};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{Client, start};

const KEY: &str = "mock-key";

/// The APIs that want one credential and have one list.
const LISTS: [Api; 9] = [
    Api::GreenhouseV1,
    Api::Lever,
    Api::Ashby,
    Api::Workable,
    Api::Recruitee,
    Api::SmartRecruiters,
    Api::Teamtailor,
    Api::Merge,
    Api::Github,
];

/// A caller of one API that knows how to page through it.
pub(crate) struct Reader {
    pub(crate) server: MockServer,
    client: Client,
    api: Api,
    pub(crate) key: &'static str,
}

/// What a page held, and where it leads.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) ids: Vec<String>,
    pub(crate) next: Option<String>,
    pub(crate) body: Value,
}

impl Reader {
    pub(crate) async fn new(api: Api) -> Self {
        let (server, client) = start().await;
        Self { server, client, api, key: KEY }
    }

    /// The address of the first page of `size`.
    pub(crate) fn first(&self, size: usize) -> String {
        let path = match self.api {
            Api::GreenhouseV1 => format!("v1/candidates?per_page={size}"),
            Api::Lever => format!("v1/opportunities?limit={size}"),
            Api::Ashby => json!({"limit": size}).to_string(),
            Api::Workable => format!("spi/v3/candidates?limit={size}"),
            Api::Recruitee => format!("c/mock-company/candidates?limit={size}&offset=0"),
            Api::SmartRecruiters => format!("candidates?limit={size}"),
            Api::Teamtailor => format!("v1/candidates?page%5Bsize%5D={size}"),
            Api::Merge => format!("api/ats/v1/candidates?page_size={size}"),
            Api::Github => format!("users?per_page={size}"),
            Api::GreenhouseV3 => format!("v3/candidates?per_page={size}"),
            Api::Breezy => format!("v3/company/mock-company/position/position-2/candidates?page_size={size}"),
        };
        if self.api == Api::Ashby { path } else { self.url(&path) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.client.url(&format!("/mock/{}/{path}", self.api.name()))
    }

    fn request(&self, at: &str) -> RequestBuilder {
        let http = &self.client.http;
        match self.api {
            Api::Ashby => {
                let call = http.post(self.url("candidate.list")).body(at.to_owned());
                call.basic_auth(self.key, Some(""))
            }
            Api::GreenhouseV1 | Api::Lever => http.get(at).basic_auth(self.key, Some("")),
            Api::Workable | Api::Recruitee | Api::Github | Api::GreenhouseV3 => {
                http.get(at).bearer_auth(self.key)
            }
            Api::Breezy => http.get(at).header("Authorization", self.key),
            Api::SmartRecruiters => http.get(at).header("X-SmartToken", self.key),
            Api::Teamtailor => {
                let call = http.get(at).header("Authorization", format!("Token token={}", self.key));
                call.header("X-Api-Version", "20240404")
            }
            Api::Merge => http.get(at).bearer_auth(self.key).header("X-Account-Token", "mock-account"),
        }
    }

    pub(crate) async fn get(&self, at: &str) -> Response {
        self.request(at).send().await.unwrap()
    }

    pub(crate) async fn page(&self, at: &str) -> Page {
        let response = self.get(at).await;
        let status = response.status().as_u16();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = response.json().await.unwrap();
        let items = match self.api {
            Api::GreenhouseV1 | Api::Github | Api::GreenhouseV3 | Api::Breezy => &body,
            Api::Lever | Api::Teamtailor => &body["data"],
            Api::Ashby | Api::Merge => &body["results"],
            Api::SmartRecruiters => &body["content"],
            Api::Workable | Api::Recruitee => &body["candidates"],
        };
        let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let ids: Vec<_> = items
            .as_array()
            .into_iter()
            .flatten()
            .map(|item| text(item.get("id").unwrap_or(&item["_id"])))
            .collect();
        let next = self.next(at, &body, link, ids.len());
        Page { status, ids, next, body }
    }

    fn next(&self, at: &str, body: &Value, link: Option<String>, received: usize) -> Option<String> {
        match self.api {
            Api::GreenhouseV1 | Api::Github | Api::GreenhouseV3 => {
                let link = link?;
                let next = link.split(',').find(|link| link.ends_with(r#"rel="next""#))?;
                Some(next[1..next.find('>')?].to_owned())
            }
            Api::Lever => {
                let first = at.split("&offset").next()?;
                Some(format!("{first}&offset={}", body["next"].as_str()?))
            }
            Api::Ashby => {
                let mut ask: Value = serde_json::from_str(at).unwrap();
                ask["cursor"] = body["nextCursor"].as_str()?.into();
                Some(ask.to_string())
            }
            Api::Breezy => None,
            Api::Workable => body["paging"]["next"].as_str().map(str::to_owned),
            Api::Teamtailor => body["links"]["next"].as_str().map(str::to_owned),
            Api::SmartRecruiters => {
                let first = at.split("&pageId").next()?;
                Some(format!("{first}&pageId={}", body["nextPageId"].as_str()?))
            }
            Api::Merge => {
                let first = at.split("&cursor").next()?;
                Some(format!("{first}&cursor={}", body["next"].as_str()?))
            }
            Api::Recruitee => {
                let (first, offset) = at.split_once("&offset=")?;
                let size: usize = first.split_once("limit=")?.1.parse().unwrap();
                let offset: usize = offset.parse().unwrap();
                (received == size).then(|| format!("{first}&offset={}", offset + received))
            }
        }
    }

    /// Every page from the first to the last.
    pub(crate) async fn pages(&self, size: usize) -> Vec<Page> {
        let (mut pages, mut next) = (Vec::new(), Some(self.first(size)));
        while let Some(at) = next {
            let page = self.page(&at).await;
            assert_eq!(page.status, 200, "{:?} {}", self.api, page.body);
            next = page.next.clone();
            pages.push(page);
        }
        pages
    }
}

fn everybody(api: Api) -> Vec<String> {
    (0..250).map(|index| api.external_id(index)).collect()
}

#[tokio::test]
async fn every_person_comes_once_and_the_last_page_is_short() {
    for api in LISTS {
        let reader = Reader::new(api).await;
        reader.server.ats().set_people(api, 70);
        let pages = reader.pages(30).await;
        assert_eq!(pages.iter().map(|page| page.ids.len()).collect::<Vec<_>>(), [30, 30, 10], "{api:?}");
        let ids: Vec<_> = pages.into_iter().flat_map(|page| page.ids).collect();
        assert_eq!(ids, everybody(api)[..70], "{api:?}");
        let stats = reader.server.ats().api_stats(api);
        assert_eq!((stats.calls, stats.served), (3, 3), "{stats:?}");
    }
}

#[tokio::test]
async fn a_wrong_or_missing_credential_is_refused_and_counted() {
    for api in LISTS {
        let mut reader = Reader::new(api).await;
        reader.key = "guess";
        assert_eq!(reader.page(&reader.first(10)).await.status, 401, "{api:?}");
        let bare = reader.client.http.get(reader.url("v1/candidates")).send().await.unwrap();
        assert_eq!(bare.status(), 401, "{api:?}");
        assert_eq!(reader.server.ats().api_stats(api).unauthorized, 2);
        reader.server.ats().rotate_credentials("guess");
        assert_eq!(reader.page(&reader.first(10)).await.status, 200, "{api:?}");
    }
}

#[tokio::test]
async fn a_call_over_the_limit_is_refused() {
    for api in LISTS {
        let reader = Reader::new(api).await;
        reader.server.ats().set_api_calls(api, 1);
        reader.page(&reader.first(1)).await;
        let status = if api == Api::Github { 403 } else { 429 };
        assert_eq!(reader.page(&reader.first(1)).await.status, status, "{api:?}");
        let stats = reader.server.ats().api_stats(api);
        assert_eq!((stats.served, stats.rate_limited, stats.max_calls_in_one_second), (1, 1, 2));
    }
}

/// A time after all changes of the mock's people, as RFC 3339 and in milliseconds since 1970; who is deleted
/// later is told.
const LATER: (&str, &str) = ("2026-06-01T00:00:00Z", "1780272000000");

#[tokio::test]
async fn lever_tells_in_a_feed_who_was_deleted() {
    let reader = Reader::new(Api::Lever).await;
    let ids = async |path: &str| reader.page(&reader.url(path)).await.ids;
    let (ats, [_, second, third]) =
        (reader.server.ats(), [0, 1, 2].map(|index| Api::Lever.external_id(index)));
    ats.set_people(Api::Lever, 3);
    let changed = format!("v1/opportunities?updated_at_start={}", LATER.1);
    let deleted = format!("v1/opportunities/deleted?limit=1&deleted_at_start={}", LATER.1);
    assert!(ids(&deleted).await.is_empty() && ids(&changed).await.is_empty());
    ats.let_go(Api::Lever, 1);
    ats.let_go(Api::Lever, 2);
    assert_eq!(ids("v1/opportunities").await.len(), 1);
    let first = reader.page(&reader.url(&deleted)).await;
    assert_eq!((&first.ids, first.body["hasNext"].as_bool()), (&vec![second.clone()], Some(true)));
    assert_eq!(reader.page(&first.next.unwrap()).await.ids, [third]);
    assert!(ids("v1/opportunities/deleted?deleted_at_start=99999999999999").await.is_empty());
    ats.let_back(Api::Lever, 1);
    assert_eq!((ids(&deleted).await.len(), ids(&changed).await), (1, vec![second]));
    let post = reader.client.http.post(reader.url("v1/opportunities/deleted")).basic_auth(KEY, Some(""));
    assert_eq!(post.send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn merge_flags_who_was_deleted_where_it_is_asked_to() {
    let reader = Reader::new(Api::Merge).await;
    let list = async |query: &str| {
        let body = reader.page(&reader.url(&format!("api/ats/v1/candidates?{query}"))).await.body;
        let flags = body["results"].as_array().unwrap().iter();
        flags
            .map(|item| (item["id"].as_str().unwrap().to_owned(), item["remote_was_deleted"] == true))
            .collect::<Vec<_>>()
    };
    let [first, second] = [0, 1].map(|index| Api::Merge.external_id(index));
    reader.server.ats().set_people(Api::Merge, 2);
    reader.server.ats().let_go(Api::Merge, 1);
    assert_eq!(list("").await, [(first.clone(), false)]);
    assert_eq!(list("include_deleted_data=true").await, [(first, false), (second.clone(), true)]);
    let changed = format!("modified_after={}", LATER.0);
    assert_eq!(list(&changed).await, []);
    assert_eq!(list(&format!("{changed}&include_deleted_data=true")).await, [(second.clone(), true)]);
    reader.server.ats().let_back(Api::Merge, 1);
    assert_eq!(list(&changed).await, [(second, false)]);
}

#[tokio::test]
async fn greenhouse_tells_its_limit_and_when_to_come_back() {
    let reader = Reader::new(Api::GreenhouseV1).await;
    let response = reader.get(&reader.first(1)).await;
    assert_eq!(response.headers()["x-ratelimit-limit"], "50");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "49");
    assert!(response.headers()["link"].to_str().unwrap().contains(r#"page=250&per_page=1>; rel="last""#));
    reader.server.ats().set_api_calls(Api::GreenhouseV1, 1);
    let refusal = reader.get(&reader.first(1)).await;
    let number = |name: &str| refusal.headers()[name].to_str().unwrap().parse::<u64>().unwrap();
    assert!((1..=10).contains(&number("retry-after")));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((now..=now + 12).contains(&number("x-ratelimit-reset")));
}

#[tokio::test]
async fn workable_tells_its_limit_in_seconds_since_1970() {
    let reader = Reader::new(Api::Workable).await;
    let response = reader.get(&reader.first(1)).await;
    assert_eq!(response.headers()["x-rate-limit-limit"], "10");
    assert_eq!(response.headers()["x-rate-limit-remaining"], "9");
    assert!(
        response.headers()["x-rate-limit-reset"].to_str().unwrap().parse::<u64>().unwrap() > 1_700_000_000
    );
}

#[tokio::test]
async fn the_others_tell_their_limits_in_their_own_units() {
    let github = Reader::new(Api::Github).await;
    github.server.ats().set_api_calls(Api::Github, 0);
    let refusal = github.get(&github.first(1)).await;
    assert_eq!(
        (refusal.status().as_u16(), &refusal.headers()["x-ratelimit-remaining"]),
        (403, &"0".parse().unwrap())
    );
    assert!(refusal.headers().get("retry-after").is_none());
    let teamtailor = Reader::new(Api::Teamtailor).await;
    let page = teamtailor.get(&teamtailor.first(1)).await;
    assert!(page.headers()["x-rate-limit-reset"].to_str().unwrap().parse::<u64>().unwrap() <= 11);
    let smart = Reader::new(Api::SmartRecruiters).await;
    let page = smart.get(&smart.first(1)).await;
    assert_eq!(page.headers()["x-ratelimit-concurrent-limit"], "1");
}

#[tokio::test]
async fn ashby_tells_errors_with_200_and_a_sync_token_at_the_end() {
    let reader = Reader::new(Api::Ashby).await;
    let page = reader.page(r#"{"cursor": "nonsense"}"#).await;
    assert_eq!((page.status, page.body), (200, json!({"success": false, "errors": ["next_cursor_expired"]})));
    let pages = reader.pages(100).await;
    assert!(pages[0].body.get("syncToken").is_none());
    let token = &pages[2].body["syncToken"];
    reader.server.ats().set_people(Api::Ashby, 252);
    let later = reader.page(&json!({"syncToken": token}).to_string()).await;
    assert_eq!(later.ids, [Api::Ashby.external_id(250), Api::Ashby.external_id(251)]);
}

#[tokio::test]
async fn only_people_changed_since_a_time_are_listed() {
    for (api, parameter) in [
        (Api::GreenhouseV1, "updated_after=2026-01-01T04:00:00Z"),
        (Api::Lever, "updated_at_start=1767240000000"),
        (Api::Workable, "updated_after=2026-01-01T04:00:00.000Z"),
        (Api::SmartRecruiters, "updatedAfter=2026-01-01T04:00:00.000Z"),
        (Api::Teamtailor, "filter%5Bupdated-at%5D%5Bfrom%5D=2026-01-01T04:00:00Z"),
        (Api::Merge, "modified_after=2026-01-01T04:00:00Z"),
        (Api::Recruitee, "created_after=2026-01-01T05:00:00%2B01:00"),
    ] {
        let reader = Reader::new(api).await;
        let page = reader.page(&format!("{}&{parameter}", reader.first(6).replace("&offset=0", ""))).await;
        assert_eq!(page.ids, everybody(api)[240..246], "{api:?}");
        if api != Api::Recruitee {
            let next = reader.page(&page.next.unwrap()).await;
            assert_eq!(next.ids, everybody(api)[246..], "{api:?}");
        }
    }
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    for (api, status) in
        [(Api::GreenhouseV1, 422), (Api::Lever, 400), (Api::Workable, 422), (Api::Recruitee, 400)]
    {
        let reader = Reader::new(api).await;
        let page = reader.page(&reader.first(0)).await;
        assert_eq!(page.status, status, "{api:?}");
        assert!(page.body.to_string().contains("must be a whole number from 1 to"), "{}", page.body);
        assert_eq!(reader.server.ats().api_stats(api).rejected, 1);
    }
}

#[tokio::test]
async fn greenhouse_v3_wants_a_token_and_lists_the_newest_first() {
    let mut reader = Reader::new(Api::GreenhouseV3).await;
    assert_eq!(reader.page(&reader.first(100)).await.status, 401);
    let ask = |secret: &'static str| {
        reader.client.http.post(reader.url("token")).basic_auth("mock-client", Some(secret)).send()
    };
    assert_eq!(ask("guess").await.unwrap().status(), 401);
    reader.server.ats().set_token_calls(Api::GreenhouseV3, 4);
    let body: Value = ask(KEY).await.unwrap().json().await.unwrap();
    let token = body["access_token"].as_str().unwrap().to_owned();
    reader.key = token.leak();
    let ids: Vec<_> = reader.pages(100).await.into_iter().flat_map(|page| page.ids).collect();
    let mut expected = everybody(Api::GreenhouseV3);
    expected.reverse();
    assert_eq!(ids, expected);
    let refused = reader.page(&reader.url("v3/candidates?cursor=100.100.0&per_page=100")).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(reader.page(&reader.first(100)).await.status, 401, "the token's calls are used up");
}

#[tokio::test]
async fn breezy_has_one_list_for_each_position() {
    let reader = Reader::new(Api::Breezy).await;
    let positions = reader.page(&reader.url("v3/company/mock-company/positions")).await;
    assert_eq!(positions.ids, ["position-1", "position-2", "position-3", "position-4"]);
    let mut ids = Vec::new();
    for position in positions.ids {
        for page in 1..=3 {
            let path = format!("v3/company/mock-company/position/{position}/candidates?page={page}");
            ids.extend(reader.page(&reader.url(&path)).await.ids);
        }
    }
    ids.sort();
    assert_eq!(ids, everybody(Api::Breezy));
    assert!(reader.get(&reader.first(1)).await.headers().contains_key("x-ratelimit-reset"));
    assert_eq!(
        reader.page(&reader.url("v3/company/mock-company/position/none/candidates")).await.status,
        404
    );
}

#[tokio::test]
async fn details_are_those_of_one_person_and_hold_more_than_the_list() {
    for (api, path, more) in [
        (Api::Workable, "spi/v3/candidates/", "/candidate/experience_entries"),
        (Api::Recruitee, "c/mock-company/candidates/", "/candidate/fields"),
        (Api::Breezy, "v3/company/mock-company/position/position-2/candidate/", "/work_history"),
    ] {
        let reader = Reader::new(api).await;
        // The second person is in the second position.
        let detail = reader.page(&reader.url(&format!("{path}{}", api.external_id(1)))).await;
        assert!(detail.status == 200 && detail.body.pointer(more).is_some(), "{api:?} {}", detail.body);
        let list = reader.page(&reader.first(1)).await;
        let member = more.rsplit('/').next().unwrap();
        assert!(!list.body.to_string().contains(member), "{api:?} {}", list.body);
        for id in [api.external_id(250), "nobody".to_owned()] {
            let nobody = reader.page(&reader.url(&format!("{path}{id}"))).await;
            assert_eq!(nobody.status, 404, "{api:?} {id}");
        }
        let faults = [mock_ats::Fault::new(
            mock_ats::FaultKind::Status(410),
            mock_ats::Pages::One(mock_ats::DETAILS_FROM + 1),
            mock_ats::Times::Always,
        )];
        reader.server.ats().set_api_faults(api, faults);
        assert_eq!(reader.page(&reader.url(&format!("{path}{}", api.external_id(1)))).await.status, 410);
    }
}

#[tokio::test]
async fn files_want_a_signature_and_no_credential() {
    let reader = Reader::new(Api::GreenhouseV1).await;
    reader.server.ats().set_void_signatures(Api::GreenhouseV1, 1);
    let get = |url: &str| reader.client.http.get(url).send();
    let url = async || {
        let page = reader.page(&reader.first(10)).await;
        assert_eq!(page.body.pointer("/6/attachments"), Some(&json!([])));
        page.body.pointer("/7/attachments/0/url").unwrap().as_str().unwrap().to_owned()
    };
    let (void, valid) = (url().await, url().await);
    assert!(void.starts_with("http://localhost:"), "{void}");
    assert_eq!(get(&void).await.unwrap().status(), 403);
    let file = get(&valid).await.unwrap();
    assert_eq!(
        (file.status().as_u16(), &file.headers()["content-type"]),
        (200, &"application/pdf".parse().unwrap())
    );
    assert!(file.bytes().await.unwrap().starts_with(b"%PDF-"));
    assert_eq!(reader.get(&valid).await.status(), 400, "with a credential");
    assert_eq!(get(&valid.replace("/7/", "/8/")).await.unwrap().status(), 404);
}

#[tokio::test]
async fn an_api_that_does_not_exist_is_not_found() {
    let (_server, client) = start().await;
    client.problem("/mock/nobody/v1/candidates", 404).await;
}
