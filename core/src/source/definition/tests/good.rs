//! One file of each page style, as a person would write it, and no longer than 25 lines.

use super::*;

const LEVER: &str = r#"
name: lever
base_url: https://api.lever.co/v1
auth:
  - basic: {user: env:RESUME_SECRET_LEVER_KEY}
limits:
  - {calls: 10, per: 1s, burst: 5}
list:
  path: /opportunities
  params: {limit: "{per_page}", updated_at_start: "{since}"}
  items: /data
  paging:
    cursor: {token: /next, param: offset, has_more: /hasNext}
  since: {format: epoch_ms}
format: mapped
map:
  name: name
  headline: headline
  email: emails[0]
  url: links[0]
  skills: tags
"#;

const ASHBY: &str = r#"
name: ashby
base_url: https://api.ashbyhq.com
auth:
  - basic: {user: env:RESUME_SECRET_ASHBY_KEY}
headers:
  Accept: application/json; version=1
limits: [{calls: 100, per: 1m}]
list:
  method: post
  path: /candidate.list
  body: {limit: "{per_page}", createdAfter: "{since}"}
  items: /results
  expect: {at: /success, equals: true, code: /errors/0}
  paging:
    cursor:
      token: /nextCursor
      param: cursor
      has_more: /moreDataAvailable
      expired: [next_cursor_expired, cursor_invalid]
  since: {format: epoch_ms}
format: mapped
map: {name: name, email: primaryEmailAddress.value, skills: "tags[].title"}
"#;

const WORKABLE: &str = r#"
name: workable
base_url: https://acme.workable.com/spi/v3
auth:
  - bearer: file:/run/secrets/workable
limits: [{calls: 10, per: 10s}]
list:
  path: /candidates
  params: {limit: "{per_page}", updated_after: "{since}"}
  items: /candidates
  paging:
    next_url: {at: /paging/next}
  since: {format: rfc3339, overlap: 10m}
format: mapped
map:
  name: name
  skills: skills[].name
  work_experiences: "experience_entries[].{company: company, title: title, description: summary,
    start_date: start_date, end_date: end_date}"
  educations: "education_entries[].{institution: school, degree: degree, area: field_of_study}"
"#;

const RECRUITEE: &str = r#"
name: recruitee
base_url: https://api.recruitee.com/c/4711
auth:
  - bearer: env:RESUME_SECRET_RECRUITEE_TOKEN
limits: [{calls: 5, per: 1s}]
concurrency: 2
list:
  path: /candidates
  params: {limit: "{per_page}", offset: "{offset}"}
  items: /candidates
  per_page_max: 1000
  paging:
    numbered: {total: /total}
format: mapped
map:
  name: name
  email: emails[0]
  skills: "fields[?kind=='skills'].values[].text"
  work_experiences: "fields[?kind=='experience'].values[]"
"#;

const GREENHOUSE: &str = r#"
name: greenhouse-v3
base_url: https://harvest.greenhouse.io/v3
auth:
  - client_credentials:
      token_url: https://auth.greenhouse.io/token
      client_id: env:RESUME_SECRET_GREENHOUSE_ID
      client_secret: env:RESUME_SECRET_GREENHOUSE_SECRET
limits: [{calls: 50, per: 10s}]
list:
  path: /candidates
  params: {per_page: "{per_page}", updated_at: "gte|{since}|lte|{until}"}
  items: ""
  per_page_max: 500
  paging: {link_header: {}}
  since: {format: rfc3339}
format: mapped
map:
  name: "join(' ', [first_name || '', last_name || ''])"
  work_experiences: "employments[].{company: company_name, title: title, start_date: start_date, end_date: end_date}"
  skills: tags
"#;

const TEAMTAILOR: &str = r#"
name: teamtailor
description: Candidates of our career site
base_url: https://api.teamtailor.com/v1
auth:
  - header: {name: Authorization, prefix: Token token=, value: env:RESUME_SECRET_TEAMTAILOR_KEY}
headers:
  Accept: application/vnd.api+json
  X-Api-Version: 20240404
limits: [{calls: 50, per: 10s}]
list:
  path: /candidates
  params: {"page[size]": "{per_page}", "filter[updated-at][from]": "{since}"}
  items: /data
  per_page_max: 30
  paging:
    next_url: {at: /links/next}
  since: {format: rfc3339}
format: mapped
map:
  name: "join(' ', [attributes.\"first-name\", attributes.\"last-name\"])"
  email: attributes.email
  skills: attributes.tags
"#;

/// The original service's test data, which is also what a source was before it had a definition.
const TEST_DATA: &str = r#"
name: test-data
base_url: http://127.0.0.1:8000/api/v1
allow_private_network: true
limits: [{calls: 30, per: 1s}]
list:
  path: /test-data
  params: {count: "{count}", per_page: "{per_page}", page: "{page}", seed: "{seed}", errors: "{error_mode}"}
  items: /results
  per_page_max: 1000
  paging: {numbered: {}}
format: profile
"#;

const ALL: [&str; 7] = [LEVER, ASHBY, WORKABLE, RECRUITEE, GREENHOUSE, TEAMTAILOR, TEST_DATA];

#[track_caller]
fn good(yaml: &str) -> Definition {
    Definition::from_yaml(yaml).unwrap_or_else(|error| panic!("{error}\nin{yaml}"))
}

#[test]
fn each_page_style_is_a_file_of_25_lines() {
    for yaml in ALL {
        assert!(yaml.trim().lines().count() <= 25, "{yaml}");
        good(yaml);
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    let lever = good(LEVER);
    assert_eq!(
        lever.auth,
        [Auth::Basic { user: Secret::new("env:RESUME_SECRET_LEVER_KEY"), password: None }]
    );
    assert_eq!(lever.limits[0].per.0, std::time::Duration::from_secs(1));
    assert_eq!((lever.limits[0].burst, lever.concurrency), (5, None));
    assert_eq!((lever.list.id.as_str(), lever.list.per_page_max), ("/id", 100));
    assert_eq!(lever.list.since.as_ref().unwrap().overlap.0.as_secs(), 300);
    let Paging::Cursor { token, param, first: None, has_more, total: None, alone, expired } =
        &lever.list.paging
    else {
        panic!("{:?}", lever.list.paging)
    };
    assert_eq!((token.as_str(), param.as_str(), has_more.as_deref()), ("/next", "offset", Some("/hasNext")));
    assert_eq!((*alone, expired.len()), (false, 0));
    assert_eq!(good(TEAMTAILOR).headers["X-Api-Version"], "20240404");
    assert_eq!(good(TEST_DATA).list.paging, Paging::Numbered { first: 1, total: None });
}

#[test]
fn a_definition_is_the_same_after_a_round_trip() {
    for yaml in ALL {
        let definition = good(yaml);
        let json = serde_json::to_value(&definition).unwrap();
        assert_eq!(Definition::from_json(&json).unwrap(), definition);
        assert_eq!(Definition::from_yaml(&json.to_string()).unwrap(), definition, "JSON is YAML");
    }
    assert_eq!(
        serde_json::to_value(Definition::from_json(&smallest()).unwrap()).unwrap()["list"]["id"],
        "/id"
    );
}

#[test]
fn yaml_means_what_stands_there() {
    let yaml = |params: &str| {
        TEST_DATA.replace("errors: \"{error_mode}\"", &format!("errors: \"{{error_mode}}\", {params}"))
    };
    let definition = good(&yaml("country: no, code: 007, big: 1_000, on: on, yes: true, day: 2024-01-31"));
    let param = |name: &str| definition.list.params[name].to_string();
    assert_eq!(
        ["country", "code", "big", "on", "yes", "day"].map(param),
        ["no", "007", "1_000", "on", "true", "2024-01-31"]
    );
    let error = Definition::from_yaml(&yaml("version: 1.10")).unwrap_err().to_string();
    assert!(error.contains("write 1.1 as a text, in quotes") && error.contains("line 8"), "{error}");
    let error = Definition::from_yaml(&yaml("size: {per_page}")).unwrap_err().to_string();
    assert!(error.contains(r#"needs quotes: "{page}""#), "{error}");
}
