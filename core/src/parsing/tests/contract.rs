//! What others rely on: names of codes and formats, and the stored form.

use strum::VariantArray;

use super::*;

#[test]
fn error_codes_are_stable() {
    let codes: Vec<&str> = ErrorCode::VARIANTS.iter().map(|code| code.as_str()).collect();
    let promised = [
        "too_large",
        "too_deep",
        "invalid_json",
        "not_an_object",
        "not_a_resume",
        "missing_id",
        "missing_mapping",
    ];
    assert_eq!(codes, promised);
    assert_eq!(json!(ErrorCode::VARIANTS), json!(codes));
}

#[test]
fn warning_codes_are_stable() {
    let codes: Vec<&str> = WarningCode::VARIANTS.iter().map(|code| code.as_str()).collect();
    let promised = [
        "byte_order_mark",
        "nul_removed",
        "lone_surrogate",
        "number_out_of_range",
        "renamed_field",
        "wrong_type",
        "empty_entry",
        "plain_text_entry",
        "text_cut",
        "odd_date",
        "unclear_date",
        "open_end",
        "placeholder_date",
        "implausible_date",
        "end_before_start",
        "odd_url",
        "missing_skills",
        "missing_work_experiences",
        "blank_skill",
        "long_skill",
        "too_many_skills",
        "too_many_entries",
        "more_warnings",
    ];
    assert_eq!(codes, promised);
    assert_eq!(json!(WarningCode::VARIANTS), json!(codes));
}

/// Every error code, by the smallest document that gives it.
#[test]
fn every_error_code_has_a_document() {
    let profile = |code, body: &[u8]| (code, Format::Profile, body.to_vec());
    let cases = [
        profile(ErrorCode::TooLarge, &vec![b' '; MAX_DOCUMENT_BYTES + 1]),
        profile(ErrorCode::TooDeep, &[b'['; MAX_DEPTH + 1]),
        profile(ErrorCode::InvalidJson, b""),
        profile(ErrorCode::NotAnObject, b"[]"),
        profile(ErrorCode::NotAResume, br#"{"id": 1}"#),
        profile(ErrorCode::MissingId, br#"{"skills": []}"#),
        (ErrorCode::MissingMapping, Format::Mapped, b"{}".to_vec()),
    ];
    assert_eq!(cases.each_ref().map(|(code, ..)| *code), ErrorCode::VARIANTS);
    for (code, format, body) in cases {
        assert_eq!(parse_with_id(format, &body).map_err(|error| error.code), Err(code));
    }
}

#[test]
fn formats_have_stable_names() {
    let names = ["profile", "json_resume", "mapped"];
    assert_eq!(json!(Format::VARIANTS), json!(names));
    for (format, name) in Format::VARIANTS.iter().zip(names) {
        assert_eq!((format.as_str(), format.to_string().as_str()), (name, name));
    }
}

#[test]
fn a_parsed_resume_can_be_stored_and_read_again() {
    let mut resume = good(Format::JsonResume, include_str!("../fixtures/old.resume.json"));
    let stored = serde_json::to_string(&resume).unwrap();
    // What has a column of its own is not in the document.
    resume.external_id.clear();
    resume.skills.iter_mut().for_each(|skill| skill.key.clear());
    assert_eq!(serde_json::from_str::<ParsedResume>(&stored).unwrap(), resume);
    assert_eq!(serde_json::from_str::<ParsedResume>("{}").unwrap(), ParsedResume::default());
}
