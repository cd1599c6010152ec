use super::*;

/// A document with an id in front of the sections given as JSON.
fn with(sections: &str) -> String {
    format!(r#"{{"id": "x", {sections}}}"#)
}

/// A sample of the schema's package, with an id as a source would give it.
fn sample(body: &str) -> ParsedResume {
    let (_, rest) = body.split_once('{').expect("an object");
    good(Format::JsonResume, &with(rest.trim_end().strip_suffix('}').expect("an object")))
}

#[track_caller]
fn check_failure(sections: &str, expected: &str) {
    assert_eq!(failure(Format::JsonResume, with(sections).as_bytes()), expected);
}

#[test]
fn the_sample_of_the_schema() {
    let resume = sample(include_str!("../fixtures/jsonresume/sample.resume.json"));
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(resume) });
}

#[test]
fn an_old_and_odd_document() {
    let resume = good(Format::JsonResume, include_str!("../fixtures/old.resume.json"));
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(resume) });
}

#[test]
fn documents_that_keep_to_the_schema_give_no_warning() {
    let samples = [
        include_str!("../fixtures/jsonresume/sample.resume.json"),
        include_str!("../fixtures/jsonresume/new-grad.resume.json"),
        include_str!("../fixtures/jsonresume/senior-engineer.resume.json"),
        include_str!("../fixtures/jsonresume/career-changer.resume.json"),
    ];
    for body in samples {
        let resume = sample(body);
        assert_eq!(warnings(&resume), [""; 0]);
        assert!(
            !resume.skills.is_empty() && !resume.work_experiences.is_empty() && !resume.educations.is_empty()
        );
    }
}

#[test]
fn skills_are_names_and_keywords_in_order() {
    let resume = sample(include_str!("../fixtures/jsonresume/new-grad.resume.json"));
    let expected = [
        "programming languages",
        "python",
        "typescript",
        "java",
        "go",
        "sql",
        "web development",
        "react",
        "next.js",
        "node.js",
        "rest api",
        "data & infrastructure",
        "postgresql",
        "docker",
        "git",
        "aws",
    ];
    assert_eq!(keys(&resume), expected);
}

#[test]
fn only_an_id_is_required() {
    let resume = good(Format::JsonResume, r#"{"id": 5}"#);
    assert_eq!(resume, ParsedResume { external_id: "5".to_owned(), ..ParsedResume::default() });
    let nulls = r#""basics": null, "skills": null, "work": null, "education": null"#;
    assert_eq!(good(Format::JsonResume, &with(nulls)).warnings, []);
    assert_eq!(
        failure(Format::JsonResume, include_bytes!("../fixtures/jsonresume/sample.resume.json")),
        r#"missing_id at "/id": the document has no id"#
    );
}

#[test]
fn skills_and_work_must_be_readable() {
    check_failure(r#""skills": "Rust""#, r#"invalid_skills at "/skills": expected an array, found a string"#);
    check_failure(
        r#""skills": ["a", 5]"#,
        r#"invalid_skills at "/skills/1": expected an object, found a number"#,
    );
    check_failure(
        r#""work": "everywhere""#,
        r#"invalid_work_experiences at "/work": expected an array, found a string"#,
    );
    check_failure(
        r#""work": [{}, []]"#,
        r#"invalid_work_experiences at "/work/1": expected an object, found an array"#,
    );
}

#[test]
fn other_sections_of_the_wrong_type_stay_in_extra() {
    let sections =
        r#""basics": [1], "education": "none", "volunteer": 5, "projects": {"a": 1}, "meta": 7, "x": [null]"#;
    let resume = good(Format::JsonResume, &with(sections));
    let expected: Value = serde_json::from_str(&format!("{{{sections}}}")).unwrap();
    assert_eq!(json!(resume.extra), expected);
    let expected =
        ["wrong_type /basics", "wrong_type /education", "wrong_type /volunteer", "wrong_type /projects"];
    assert_eq!(warnings(&resume), expected);
}

#[test]
fn places_are_texts_or_objects() {
    #[track_caller]
    fn check(location: &str, expected: Option<&str>) {
        let resume = good(Format::JsonResume, &with(&format!(r#""basics": {{"location": {location}}}"#)));
        assert_eq!(resume.location.as_deref(), expected);
    }
    check(r#""Berlin""#, Some("Berlin"));
    check(r#"{"city": "Berlin", "region": "", "countryCode": "DE"}"#, Some("Berlin, DE"));
    check(r#"{"city": "Austin", "state": "Texas", "country": "USA"}"#, Some("Austin, Texas, USA"));
    check(r#"{"postalCode": "10115"}"#, None);
    check("[]", None);
    check("null", None);
}
