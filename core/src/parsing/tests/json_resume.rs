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

#[test]
fn the_sample_of_the_schema() {
    let resume = sample(include_str!("../fixtures/jsonresume/sample.resume.json"));
    insta::assert_debug_snapshot!(resume);
}

#[test]
fn an_old_and_odd_document() {
    let resume = good(Format::JsonResume, include_str!("../fixtures/old.resume.json"));
    insta::assert_debug_snapshot!(resume);
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
fn sections_may_be_null() {
    let nulls = r#""basics": null, "skills": null, "work": null, "education": null"#;
    let resume = good(Format::JsonResume, &with(nulls));
    assert_eq!(resume, ParsedResume { external_id: "x".to_owned(), ..ParsedResume::default() });
}

#[test]
fn links_are_the_home_page_and_the_profiles() {
    let profiles = r#"[{"url": "https://a.example"}, {"url": "javascript:x"}, 7, {"network": "x"}, {"url": "http://b.example"}]"#;
    let basics = format!(r#""basics": {{"url": "http://b.example", "profiles": {profiles}}}"#);
    let resume = good(Format::JsonResume, &with(&basics));
    assert_eq!(resume.links, ["http://b.example", "https://a.example"]);
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
