use super::*;

/// A document of the original shape with these skills and work experiences, given as JSON.
fn with(skills: &str, work_experiences: &str) -> String {
    format!(r#"{{"id": 1, "skills": {skills}, "work_experiences": {work_experiences}}}"#)
}

#[test]
fn a_realistic_item() {
    let resume = good(Format::Profile, include_str!("../fixtures/profile.json"));
    insta::assert_debug_snapshot!(resume);
}

#[test]
fn the_smallest_item() {
    let resume = good(Format::Profile, r#"{"id": "a", "skills": [], "work_experiences": []}"#);
    assert_eq!(resume, ParsedResume { external_id: "a".to_owned(), ..ParsedResume::default() });
}

#[test]
fn skills_keep_their_first_spelling_and_order() {
    let resume =
        good(Format::Profile, &with(r#"["  ReactJS", "SQL", "React", "react.js", "sql", "C++"]"#, "[]"));
    assert_eq!(resume.skills[0].name, "ReactJS");
    assert_eq!(keys(&resume), ["react", "sql", "c++"]);
    assert!(resume.warnings.is_empty());
}

#[test]
fn blank_and_long_skills_are_left_out() {
    let skills = json!(["", "Rust", " \u{200B}", "x".repeat(128), "y".repeat(129)]);
    let resume = good(Format::Profile, &with(&text(&skills), "[]"));
    assert_eq!(keys(&resume), ["rust", &"x".repeat(128)]);
    assert_eq!(warnings(&resume), ["blank_skill /skills/0", "blank_skill /skills/2", "long_skill /skills/4"]);
}

#[test]
fn missing_work_experiences_are_none() {
    let resume = good(Format::Profile, r#"{"id": 1, "skills": ["SQL"]}"#);
    assert!(resume.work_experiences.is_empty());
    assert_eq!(warnings(&resume), ["missing_work_experiences /work_experiences"]);
}

#[test]
fn fields_of_the_wrong_type_are_left_out() {
    let body = r#"{"id": 1, "name": ["A"], "email": 5, "url": "javascript:alert(1)", "skills": [], "work_experiences":
        [{"title": {"en": "Dev"}, "start_date": [2019], "highlights": [1], "url": "HTTPS://x.example"}, "", null, "Dev"]}"#;
    let resume = good(Format::Profile, body);
    assert_eq!((resume.email.as_deref(), &resume.name, &resume.url), (Some("5"), &None, &None));
    assert_eq!(
        json!(resume.work_experiences),
        json!([
            {"url": "HTTPS://x.example", "highlights": ["1"]},
            {"title": "Dev"}
        ])
    );
    assert_eq!(
        warnings(&resume),
        [
            "wrong_type /work_experiences/0/start_date",
            "wrong_type /work_experiences/0/title",
            "empty_entry /work_experiences/1",
            "empty_entry /work_experiences/2",
            "plain_text_entry /work_experiences/3",
            "wrong_type /name",
            "wrong_type /email",
            "odd_url /url",
        ]
    );
}

#[test]
fn the_right_name_of_a_field_wins() {
    let resume = good(Format::Profile, &with("[]", r#"[{"company": "A", "employer": "B", "role": "Dev"}]"#));
    let expected = json!([{"company": "A", "title": "Dev"}]);
    assert_eq!(json!(resume.work_experiences), expected);
    assert_eq!(warnings(&resume), ["renamed_field /work_experiences/0/role"]);
}

#[test]
fn texts_for_one_line_are_cut() {
    let name = "é".repeat(MAX_LINE_CHARS + 1);
    let resume = good(
        Format::Profile,
        &text(&json!({"id": 1, "name": name, "skills": [], "work_experiences": [name]})),
    );
    assert_eq!(resume.name.as_deref(), Some(&name[..2 * MAX_LINE_CHARS]));
    assert_eq!(resume.work_experiences[0].title, resume.name);
    assert_eq!(
        warnings(&resume),
        ["plain_text_entry /work_experiences/0", "text_cut /work_experiences/0", "text_cut /name"]
    );
}

#[test]
fn ends_may_be_open() {
    let work = r#"[{"title": "A", "end_date": null}, {"title": "B", "end_date": ""}, {"title": "C", "end_date": "Present"},
            {"end_date": "", "end": "2019"}]"#;
    let resume = good(Format::Profile, &with("[]", work));
    assert_eq!(
        json!(resume.work_experiences),
        json!([{"title": "A"}, {"title": "B"}, {"title": "C"}, {"end_date": "2019"}])
    );
    assert_eq!(
        warnings(&resume),
        [
            "open_end /work_experiences/1/end_date",
            "open_end /work_experiences/2/end_date",
            "renamed_field /work_experiences/3/end",
        ]
    );
}
