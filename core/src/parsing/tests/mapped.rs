//! Items as systems send them, and mappings as people write them.

use super::*;
use crate::parsing::Mapping;

/// A mapping given as JSON, compiled.
#[track_caller]
pub(super) fn mapping(expressions: Value) -> CompiledMapping {
    let mapping: Mapping = serde_json::from_value(expressions).unwrap();
    CompiledMapping::new(&mapping).unwrap_or_else(|bad| panic!("{bad:?}"))
}

/// What is wrong with an expression.
#[track_caller]
fn refused(expression: &str) -> String {
    let mapping: Mapping = serde_json::from_value(json!({"name": "name", "skills": expression})).unwrap();
    let bad = CompiledMapping::new(&mapping).expect_err("an expression that cannot be used");
    assert_eq!((bad.len(), bad[0].field), (1, "skills"));
    bad[0].detail.clone()
}

/// Parses an item that must be good.
#[track_caller]
fn mapped(expressions: Value, item: &Value) -> ParsedResume {
    parse_mapped(&mapping(expressions), Some("7"), item.to_string().as_bytes())
        .unwrap_or_else(|error| panic!("{error} in {item:.200}"))
}

/// Parses an item that must fail, and gives what the failure says.
#[track_caller]
fn fails(expressions: Value, item: &Value) -> String {
    let error = parse_mapped(&mapping(expressions), Some("7"), item.to_string().as_bytes())
        .expect_err("an item that cannot be parsed");
    assert!(error.detail.chars().count() <= MAX_DETAIL_CHARS);
    error.to_string()
}

#[test]
fn greenhouse() {
    let item = json!({
        "id": 53883394, "first_name": "Ada", "last_name": "Byron", "company": null, "title": "Engineer", "is_private": false,
        "email_addresses": [{"value": "ada@example.org", "type": "personal"}],
        "website_addresses": [{"value": "https://ada.example", "type": "portfolio"}],
        "addresses": [{"value": "12 St James's Square\nLondon", "type": "home"}],
        "tags": ["Rust", "SQL", "rust"],
        "employments": [{"id": 8485064, "company_name": "Engines", "title": "Analyst",
            "start_date": "2012-08-15T00:00:00.000Z", "end_date": null}],
        "educations": [{"id": 5690098, "school_name": "Home", "degree": "None", "discipline": "Mathematics",
            "start_date": "2008", "end_date": "2012"}],
    });
    let map = json!({
        "name": "join(' ', [first_name, last_name])", "headline": "title", "email": "email_addresses[0].value",
        "url": "website_addresses[0].value", "location": "addresses[0].value", "skills": "tags",
        "work_experiences": "employments[].{company: company_name, title: title, start_date: start_date, end_date: end_date}",
        "educations": "educations",
    });
    let resume = mapped(map, &item);
    let expected = json!({
        "name": "Ada Byron", "headline": "Engineer", "email": "ada@example.org",
        "url": "https://ada.example", "location": "12 St James's Square\nLondon", "skills": ["Rust", "SQL"],
        "work_experiences": [{"company": "Engines", "title": "Analyst", "start_date": "2012-08-15"}],
        "educations": [{"institution": "Home", "area": "Mathematics", "degree": "None",
            "start_date": "2008", "end_date": "2012"}],
        "links": ["https://ada.example"],
    });
    let mut found = json!(resume);
    let warnings_of = found.as_object_mut().unwrap().remove("warnings");
    assert_eq!(found, expected);
    assert_eq!((&*resume.external_id, keys(&resume)), ("7", vec!["rust", "sql"]));
    assert!(warnings_of.is_some());
    assert_eq!(
        warnings(&resume),
        [
            "odd_date /work_experiences/0/start_date",
            "renamed_field /educations/0/school_name",
            "renamed_field /educations/0/discipline",
        ]
    );
}

#[test]
fn workable() {
    let item = json!({
        "id": "ce4da98", "name": "Ada Byron", "headline": null, "summary": "I count.", "email": "ada@example.org",
        "location": {"city": "London", "region": "England", "country": "United Kingdom", "zip_code": "SW1Y"},
        "skills": [{"name": "Go"}, {"name": ""}, {}, {"name": null}],
        "experience_entries": [
            {"title": "Engineer", "company": "Acme", "summary": "Built it.\nRan it.", "start_date": "2019-03-01",
             "end_date": null, "current": true},
            {"title": "Trainee", "company": "Acme", "start_date": "2018-01-01", "end_date": "2019-02-28", "current": false},
        ],
        "education_entries": [{"school": "MIT", "degree": "BSc", "field_of_study": "CS"}],
    });
    let map = json!({
        "name": "name", "headline": "headline", "summary": "summary", "email": "email", "location": "location",
        "skills": "skills[].name",
        "work_experiences": "experience_entries[].{company: company, title: title, description: summary, \
            start_date: start_date, end_date: end_date}",
        "educations": "education_entries[].{institution: school, degree: degree, area: field_of_study}",
    });
    let resume = mapped(map, &item);
    assert_eq!(keys(&resume), ["go"]);
    assert_eq!(resume.location.as_deref(), Some("London, England, United Kingdom"));
    assert_eq!((resume.headline.as_deref(), resume.summary.as_deref()), (None, Some("I count.")));
    assert_eq!(
        json!(resume.work_experiences),
        json!([
            {"company": "Acme", "title": "Engineer", "start_date": "2019-03-01", "description": "Built it.\nRan it."},
            {"company": "Acme", "title": "Trainee", "start_date": "2018-01-01", "end_date": "2019-02-28"},
        ])
    );
    assert_eq!(json!(resume.educations), json!([{"institution": "MIT", "area": "CS", "degree": "BSc"}]));
    assert_eq!(warnings(&resume), ["blank_skill /skills/1"]);
}

#[test]
fn recruitee() {
    let item = json!({
        "id": 9, "name": "Ada", "emails": ["ada@example.org"], "cv_url": "https://cdn.example/cv.pdf",
        "fields": [
            {"kind": "skills", "values": [{"text": "Kotlin"}, {"text": "Java"}]},
            {"kind": "experience", "values": [
                {"company": "Acme", "title": "Dev", "start_date": "2020-01", "end_date": "Present", "location": "Delft"}]},
            {"kind": "language_skill", "values": [{"language": "nl"}]},
            {"kind": "skills", "values": [{"text": "SQL"}]},
            {"kind": "phone", "values": null},
        ],
    });
    let map = json!({
        "name": "name", "email": "emails[0]", "skills": "fields[?kind=='skills'].values[].text",
        "work_experiences": "fields[?kind=='experience'].values[]",
        "educations": "fields[?kind=='education'].values[]",
    });
    let resume = mapped(map, &item);
    assert_eq!(keys(&resume), ["kotlin", "java", "sql"]);
    let expected = json!([{"company": "Acme", "title": "Dev", "start_date": "2020-01", "location": "Delft"}]);
    assert_eq!(json!(resume.work_experiences), expected);
    assert!(resume.educations.is_empty());
    assert_eq!(warnings(&resume), ["open_end /work_experiences/0/end_date"]);
}

#[test]
fn breezy_writes_dates_in_parts() {
    let dates = |start: Value, end: Value| {
        let item = json!({"work_history": [{"company_name": "Acme", "start_date": start, "end_date": end}]});
        let map = json!({"work_experiences": "work_history[].{company: company_name, start_date: start_date, end: end_date}"});
        mapped(map, &item)
    };
    let resume =
        dates(json!({"year": 2019, "month": 3, "day": 1}), json!({"year": 2020, "month": 2, "day": null}));
    let job = &resume.work_experiences[0];
    assert_eq!((job.start_date.as_deref(), job.end_date.as_deref()), (Some("2019-03-01"), Some("2020-02")));
    assert_eq!(warnings(&resume), ["renamed_field /work_experiences/0/end"]);

    let resume = dates(json!({"year": "2019"}), json!({"year": null, "month": null, "day": null}));
    let job = &resume.work_experiences[0];
    assert_eq!((job.start_date.as_deref(), job.end_date.as_deref()), (Some("2019"), None));
    assert_eq!(warnings(&resume), ["renamed_field /work_experiences/0/end"]);

    // No day and no month is made up, and none is dropped.
    let odd = [
        json!({"year": 2019, "month": 13}),
        json!({"year": 2019, "day": 1}),
        json!({"year": 2019, "month": 2, "day": 30}),
        json!({"month": 3}),
        json!({"year": -1}),
        json!({"year": 2019.5}),
        json!({"year": {}}),
        json!({}),
    ];
    for parts in odd {
        let resume = dates(parts.clone(), Value::Null);
        assert_eq!(resume.work_experiences[0].start_date, None);
        assert_eq!(warnings(&resume), ["wrong_type /work_experiences/0/start_date"]);
    }
    let item = json!({"e": [{"school": "MIT", "start": {"year": 2001, "month": 9}}, "text", null]});
    let resume = mapped(json!({"educations": "e"}), &item);
    assert_eq!(resume.educations[0].start_date.as_deref(), Some("2001-09"));
}

#[test]
fn what_is_missing_is_none() {
    let map = json!({
        "name": "a.b[0].c", "location": "l", "skills": "s[].name", "work_experiences": "w", "educations": "e[]",
    });
    for item in
        [json!({"a": {"b": [{"c": ""}]}, "s": "x", "e": 5}), json!({"a": {"b": []}, "w": " ", "s": null})]
    {
        let resume = mapped(map.clone(), &item);
        assert_eq!(resume, ParsedResume { external_id: "7".to_owned(), ..ParsedResume::default() }, "{item}");
    }
    assert_eq!(mapped(json!({"skills": "tags"}), &json!({"tags": ""})).skills, []);
}

/// As a detail call may give it: all that one person has made.
#[test]
fn an_item_may_be_a_list() {
    let repositories = json!([
        {"language": "Rust", "topics": ["sql", "search"], "fork": false, "owner": {"html_url": "https://github.com/ada"}},
        {"language": "C", "topics": [], "fork": true, "owner": {}},
        {"language": null, "topics": null, "fork": false},
    ]);
    let expressions =
        json!({"url": "[0].owner.html_url", "skills": "[?!fork].[language, topics][][] | [?@]"});
    let resume = mapped(expressions.clone(), &repositories);
    assert_eq!(resume.url.as_deref(), Some("https://github.com/ada"));
    let names: Vec<_> = resume.skills.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(names, ["Rust", "sql", "search"]);
    assert_eq!(mapped(expressions, &json!([])).skills, []);
}

#[test]
fn the_id_is_the_stored_one() {
    let map = mapping(json!({"name": "id"}));
    let resume = parse_mapped(&map, Some("uuid-1"), br#"{"id": 5}"#).unwrap();
    assert_eq!((resume.external_id.as_str(), resume.name.as_deref()), ("uuid-1", Some("5")));
    let error = parse_mapped(&map, None, br#"{"id": 5}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "missing_id at \"/id\": the item had no id where its source says, or none that can be kept: a text or a \
         number of at most 512 bytes"
    );
    assert_eq!(parse_mapped(&map, None, b"7").unwrap_err().code, ErrorCode::NotAnObject);
    let error = parse(Format::Mapped, Some("1"), b"{}").unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"missing_mapping at "": the definition of the source has no `map` to read the document with"#
    );
}

#[test]
fn a_text_of_skills_is_taken_apart() {
    for (text, expected) in [
        ("React; SQL, Go", &["react", "sql", "go"][..]),
        ("CI/CD | C++\n\u{2022} C#\r\n, ;Go, go", &["ci/cd", "c++", "c#", "go"]),
        ("Rust", &["rust"]),
        (" ;, ", &[]),
        ("", &[]),
    ] {
        let resume = mapped(json!({"skills": "text"}), &json!({"text": text}));
        assert_eq!((keys(&resume), warnings(&resume)), (expected.to_vec(), Vec::new()), "{text:?}");
    }
}

#[test]
fn a_field_that_cannot_be_read_harms_no_other() {
    let item = json!({"first": "Ada", "last": null, "mail": {"a": 1}, "url": "javascript:alert(1)", "tags": ["Rust", null]});
    let map = json!({
        "name": "join(' ', [first, last])", "headline": "first", "email": "mail", "url": "url", "skills": "tags",
        "educations": "first", "work_experiences": "keys(tags)",
    });
    let resume = mapped(map, &item);
    assert_eq!((resume.name.as_deref(), resume.headline.as_deref()), (None, Some("Ada")));
    assert_eq!(keys(&resume), ["rust"]);
    assert_eq!(
        warnings(&resume),
        [
            "wrong_type /name",
            "wrong_type /work_experiences",
            "empty_entry /skills/1",
            "wrong_type /educations",
            "wrong_type /email",
            "odd_url /url"
        ]
    );
    assert!(
        resume.warnings[0].message.starts_with("the expression fails on this item, left empty: Argument 1")
    );
}

#[test]
fn nul_is_removed_behind_the_mapping() {
    let item = json!({"n\0": "A\0da", "tags": ["Ru\0st"], "rest": "\0"});
    let map =
        json!({"name": r#""n\u0000""#, "skills": "tags", "work_experiences": r#"[{title: `"\u0000x"`}]"#});
    let resume = mapped(map, &item);
    assert_eq!((resume.name.as_deref(), keys(&resume)), (Some("Ada"), vec!["rust"]));
    assert_eq!(resume.work_experiences[0].title.as_deref(), Some("x"));
    assert_eq!(
        warnings(&resume),
        ["nul_removed /name", "nul_removed /skills/0", "nul_removed /work_experiences/0/title"]
    );
}

#[test]
fn expressions_that_are_none() {
    for expression in
        ["", " ", "a..b", "a b", "[", "'a", "a[?b", "a = b", "{a}", "1", "`{`", "a[99999999999]", "\u{1F600}"]
    {
        let detail = refused(expression);
        assert!(!detail.contains('\n') && detail.contains("(column "), "{expression}: {detail}");
    }
    assert_eq!(refused("nosuch(@)"), "nosuch is no function of JMESPath");
    assert_eq!(refused("a[].nosuch(@)"), "nosuch is no function of JMESPath");
    assert_eq!(refused(&"x".repeat(1001)), "has 1001 bytes, the most is 1000");
    assert_eq!(refused("a[::0]"), "a step of 0 in brackets");
    let beyond = "a number in brackets is beyond 100000, the most values of a document";
    for expression in ["a[100001]", "a[-2147483647]", "a[1::2147483647]", "a[:100001]", "a[-100001:]"] {
        assert_eq!(refused(expression), beyond);
    }
}

/// Each of these would panic, never end or fill the memory on an item that a stranger chooses.
#[test]
fn expressions_that_are_too_much() {
    let nested = |open: &str, close: &str| format!("{}a{}", open.repeat(101), close.repeat(101));
    for (open, close) in
        [("(", ")"), ("!", ""), ("[", "]"), ("a.", ""), ("a|", ""), ("a[*]", ""), ("a||", ""), ("[?a==", "]")]
    {
        let found = refused(&nested(open, close));
        assert!(
            found.starts_with("has ") && found.ends_with(" operators, the most is 100"),
            "{open}: {found}"
        );
    }
    let grows = "can make more than 64 times an item of it: repeat and nest less";
    assert_eq!(refused(&["[@, @][]"; 7].join(" | ")), grows);
    assert_eq!(refused(&["[a, a, a]"; 6].join(" | ")), grows);
    assert_eq!(refused(&["join('', [@, @])"; 7].join(" | ")), grows);
    assert_eq!(refused("to_string([to_string([to_string([@])])])"), grows);
    assert_eq!(
        refused(&format!("map(&'{}', a) | join('', @) | [@, @, @, @, @, @, @]", "x".repeat(700))),
        grows
    );
    let no_data = "& may only stand before an argument of map, sort_by, min_by, max_by";
    for expression in
        ["&a", "{f: &map(f, [{f: f}])} | map(f, [@])", "not_null(&a)", "to_array(&a)", "map(&(&a), b)"]
    {
        assert_eq!(refused(expression), no_data);
    }
    assert!(refused("to_number(a)").starts_with("to_number is not there"));
}

/// As deep as an expression may be: every thread that compiles or evaluates one must have the stack for it.
#[test]
fn the_deepest_expressions_have_room_on_a_small_stack() {
    let most =
        |open: &str, close: &str, count: usize| format!("{}a{}", open.repeat(count), close.repeat(count));
    let expressions = [
        most("(", ")", 100),
        most("!", "", 100),
        most("[", "]", 100),
        most("a.", "", 100),
        most("a[*].", "", 33),
        most("a[].", "", 50),
        most("a||", "", 50),
        most("a|", "", 100),
        most("[?a&&", "]", 33),
        most("{a:", "}", 100),
        most("map(&", ",@)", 50),
        format!("`{}{}`", "[".repeat(99), "]".repeat(99)),
    ];
    let item = format!(r#"{{"a": {}{}}}"#, r#"{"a":["#.repeat(31), "]}".repeat(31));
    let run = move || {
        for expression in expressions {
            let map = mapping(json!({"summary": expression}));
            let _ = parse_mapped(&map, Some("1"), item.as_bytes());
        }
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(run).unwrap().join().unwrap();
}

#[test]
fn little_cannot_become_much() {
    let names: Vec<String> = (0..4_000).map(|number| format!("{number:0500}")).collect();
    let item = json!({ "names": names });
    let all = "[names, names, names, names, names, names, names, names]";
    let large = "the mapping makes more than 100000 values or 4194304 bytes of the item";
    assert_eq!(
        fails(json!({ "skills": format!("{all}[]") }), &item),
        format!(r#"too_large at "/skills": {large}"#)
    );
    assert_eq!(
        fails(json!({"name": "names[0]", "summary": format!("join('', {all}[])")}), &item),
        format!(r#"too_large at "/summary": {large}"#)
    );
    let numbers = json!({"n": vec![0; 30_000]});
    let error = fails(json!({"skills": "n[].to_string(@)", "summary": "[n, n, n]"}), &numbers);
    assert_eq!(error, format!(r#"too_large at "/skills": {large}"#));
    let deep = json!({"a": (0..60).fold(json!(1), |inner, _| json!([inner]))});
    let error = fails(json!({"summary": "{a: {b: {c: {d: {e: a}}}}}"}), &deep);
    assert_eq!(error, r#"too_deep at "/summary": what the expression finds is nested deeper than 64"#);
}

#[test]
fn a_mapping_is_used_by_several_threads() {
    let map = mapping(json!({"skills": "tags"}));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let map = &map;
            scope.spawn(move || {
                let body = json!({"tags": [format!("skill {number}")]}).to_string();
                assert_eq!(parse_mapped(map, Some("1"), body.as_bytes()).unwrap().skills.len(), 1);
            });
        }
    });
}
