//! One odd thing in a document costs itself at most, and what is no resume does not become one.

use super::{mapped::mapping, *};

/// Parses the same person in every format: with these skills, and with this work.
#[track_caller]
fn in_every_format(skills: &str, work: &str, check: impl Fn(&ParsedResume)) {
    let body = |work_key: &str| format!(r#"{{"id": 1, "skills": {skills}, "{work_key}": {work}}}"#);
    let map = mapping(json!({"skills": "skills", "work_experiences": "work"}));
    let bodies = [body("work_experiences"), body("work"), body("work")];
    check(&good(Format::Profile, &bodies[0]));
    check(&good(Format::JsonResume, &bodies[1]));
    check(&parse_mapped(&map, Some("1"), bodies[2].as_bytes()).unwrap());
}

#[test]
fn half_an_emoji_and_an_endless_number_cost_nobody() {
    let body = r#"{"id": 1, "name": "Ada \ud83d", "\udc00": {"a": ["\uD83Dx\u0041", "\ud83d\ude00"]}, "n": [1e400, -1e999, 5.5e3],
        "email": 123456789012345678901234, "summary": "\\ud83d \ude00\ud83d \"\ud83d", "skills": ["Vue\ud83d", "\ud83d\ude00"],
        "work_experiences": [{"title": "\u00e9", "start_date": 1e400}]}"#;
    let resume = good(Format::Profile, body);
    assert_eq!(resume.name.as_deref(), Some("Ada \u{fffd}"));
    assert_eq!(resume.summary.as_deref(), Some("\\ud83d \u{fffd}\u{fffd} \"\u{fffd}"));
    assert_eq!(resume.email.as_deref(), Some("123456789012345678901234"));
    let names: Vec<_> = resume.skills.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(names, ["Vue\u{fffd}", "\u{1F600}"]);
    assert_eq!(resume.work_experiences[0].start_date.as_deref(), Some("1e400"));
    assert_eq!(
        warnings(&resume),
        ["lone_surrogate ", "number_out_of_range ", "unclear_date /work_experiences/0/start_date"]
    );
    assert_eq!(resume.warnings[0].message, "7 halves of surrogate pairs, read as U+FFFD");
    assert_eq!(resume.warnings[1].message, "4 numbers beyond what a 64-bit number holds, read as texts");

    let map = mapping(json!({"name": "name", "skills": "skills"}));
    let resume = parse_mapped(&map, Some("1"), body.as_bytes()).unwrap();
    assert_eq!((resume.name.as_deref(), resume.skills.len()), (Some("Ada \u{fffd}"), 2));
    assert_eq!(warnings(&resume), ["lone_surrogate ", "number_out_of_range "]);
}

#[test]
fn what_json_has_no_number_for_is_no_json() {
    for number in ["01", "-", "1e", "00000000000000000000001", "1.", "+1", "NaN", "0x10"] {
        let body = format!(r#"{{"id": 1, "skills": [], "a": {number}}}"#);
        assert!(failure(Format::Profile, body.as_bytes()).starts_with("invalid_json"), "{number}");
    }
    for number in ["18446744073709551615", "-9223372036854775808", "1e308", "1E-400", "-0", "0.1"] {
        let body = format!(r#"{{"id": 1, "skills": [], "work_experiences": [], "a": {number}}}"#);
        assert_eq!(warnings(&good(Format::Profile, &body)), [""; 0], "{number}");
    }
}

#[test]
fn skills_are_read_however_they_are_written() {
    for (skills, expected) in [
        (r#""Java, SQL""#, &["java", "sql"][..]),
        (r#"["Java", null, 5, "SQL", ["Go"], true]"#, &["java", "sql"]),
        (
            r#"[{"name": "Java"}, {"name": "Databases", "keywords": ["SQL", 7]}, {"level": "?"}, {"keywords": "Go; C"}]"#,
            &["java", "databases", "sql", "go", "c"],
        ),
        (r#"{"name": "Java", "keywords": ["SQL"]}"#, &["java", "sql"]),
        (r#"{"java": 5}"#, &[]),
        ("5", &[]),
        ("true", &[]),
        ("null", &[]),
        (r#""  ""#, &[]),
    ] {
        in_every_format(skills, r#"[{"title": "Dev"}]"#, |resume| {
            assert_eq!(keys(resume), expected, "{skills}");
            assert_eq!(resume.work_experiences.len(), 1, "{skills}");
        });
    }
    let resume = good(Format::Profile, r#"{"id": 1, "skills": "Java, SQL", "work_experiences": []}"#);
    assert_eq!(warnings(&resume), ["wrong_type /skills"]);
    let resume = good(Format::Profile, r#"{"id": 1, "skills": ["a", 5, null], "work_experiences": null}"#);
    let expected =
        ["missing_work_experiences /work_experiences", "wrong_type /skills/1", "empty_entry /skills/2"];
    assert_eq!(warnings(&resume), expected);
}

#[test]
fn work_is_read_however_it_is_written() {
    for (work, expected) in [
        (r#"{"title": "Dev", "start_date": "2019"}"#, json!([{"title": "Dev", "start_date": "2019"}])),
        (r#"{"1": {"title": "Dev"}, "2": {"title": "Ops"}}"#, json!([{"title": "Dev"}, {"title": "Ops"}])),
        (
            r#"[{"title": "Dev"}, null, 5, [], "Ops", {}, {"unknown": 1}]"#,
            json!([{"title": "Dev"}, {"title": "Ops"}]),
        ),
        (r#"{"data": {"jobs": {"0": {"company": "x"}}}}"#, json!([])),
        (r#""see attached file""#, json!([])),
        ("17", json!([])),
        (
            r#"[{"title": {"en": "Dev"}, "summary": "x", "end_date": {"y": 2019}}]"#,
            json!([{"description": "x"}]),
        ),
        (
            r#"[{"title": "Dev", "start_date": {"year": 2019, "month": 3}, "end_date": {"year": null}}]"#,
            json!([{"title": "Dev", "start_date": "2019-03"}]),
        ),
    ] {
        in_every_format(r#"["SQL"]"#, work, |resume| {
            assert_eq!(json!(resume.work_experiences), expected, "{work}");
            assert_eq!(keys(resume), ["sql"]);
        });
    }
    let resume = good(Format::Profile, r#"{"id": 1, "skills": [], "work_experiences": "see attached file"}"#);
    assert_eq!(warnings(&resume), ["wrong_type /work_experiences"]);
    let resume =
        good(Format::Profile, r#"{"id": 1, "skills": [], "work_experiences": [{"title": "x"}, 5, {}]}"#);
    assert_eq!(warnings(&resume), ["wrong_type /work_experiences/1", "empty_entry /work_experiences/2"]);
}

#[test]
fn other_sections_of_the_wrong_type_are_left_out() {
    let body = r#"{"id": 1, "basics": [1], "education": "none", "skills": ["SQL"]}"#;
    let resume = good(Format::JsonResume, body);
    assert_eq!(
        (keys(&resume), warnings(&resume)),
        (vec!["sql"], vec!["wrong_type /basics".to_owned(), "wrong_type /education".to_owned()])
    );
    let body =
        r#"{"id": 1, "basics": {"name": "Ada"}, "education": {"institution": "MIT"}, "work": ["Dev"]}"#;
    let resume = good(Format::JsonResume, body);
    assert_eq!(resume.educations[0].institution.as_deref(), Some("MIT"));
}

#[test]
fn what_is_no_resume_does_not_become_one() {
    let map = mapping(json!({
        "name": "join(' ', [first || '', last || ''])", "headline": "'Candidate'", "skills": "[tags, skills][]", "email": "mail",
        "location": "{city: city}",
    }));
    for body in [
        r"{}",
        r#"{"id": 1}"#,
        r#"{"error": "not found"}"#,
        r#"{"id": "x", "message": "Forbidden", "status": 403}"#,
    ] {
        for format in FIXED {
            let error = parse(format, Some("1"), body.as_bytes()).unwrap_err();
            assert_eq!(error.code, ErrorCode::NotAResume, "{body}");
        }
        assert_eq!(
            parse_mapped(&map, Some("1"), body.as_bytes()).unwrap_err().code,
            ErrorCode::NotAResume,
            "{body}"
        );
    }
    // What is there and empty is somebody of whom nothing is known.
    good(Format::Profile, r#"{"id": 1, "skills": []}"#);
    good(Format::Profile, r#"{"id": 1, "name": null}"#);
    good(Format::JsonResume, r#"{"id": 1, "basics": {}}"#);
    let simple = mapping(json!({"name": "name", "skills": "tags"}));
    for body in [r#"{"tags": []}"#, r#"{"name": ""}"#, "[]"] {
        assert_eq!(parse_mapped(&simple, Some("1"), body.as_bytes()).unwrap().skills, [], "{body}");
    }
}
