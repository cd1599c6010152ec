//! Input that nobody sends in good faith. Nothing may panic, take long, or give back much more than came in.

use std::sync::LazyLock;

use super::{mapped::mapping, *};

/// Parses in both formats, and in a mapped one; whatever the answer is, it must be within bounds.
fn survive(body: &[u8]) {
    for format in FIXED {
        is_within_bounds(parse_with_id(format, body));
    }
    is_within_bounds(parse_mapped(&WHOLE, Some("1"), body));
}

/// Takes as much of a document of the other formats as a mapping can.
static WHOLE: LazyLock<CompiledMapping> = LazyLock::new(|| {
    mapping(json!({
        "name": "name", "summary": "to_string(@)", "email": "email", "url": "keys(@)[0]", "location": "@",
        "skills": "skills[].[@, name, keywords[]][]", "work_experiences": "work_experiences || work",
        "educations": "[@, education][]",
    }))
});

fn is_within_bounds(parsed: Result<ParsedResume, ParseError>) {
    match parsed {
        Ok(resume) => {
            assert!(resume.skills.len() <= MAX_SKILLS && resume.work_experiences.len() <= MAX_ENTRIES);
            assert!(resume.warnings.len() <= MAX_WARNINGS + 1);
            assert!(resume.warnings.iter().all(|w| w.pointer.len() <= 512 && w.message.len() <= 300));
            let stored = serde_json::to_value(&resume).unwrap();
            let keys = resume.skills.iter().map(|skill| &skill.key);
            let has_nul =
                holds_nul(&stored) || keys.chain([&resume.external_id]).any(|text| text.contains('\0'));
            assert!(!has_nul, "a NUL is left");
        }
        Err(error) => {
            assert!(error.detail.chars().count() <= MAX_DETAIL_CHARS && error.pointer.len() <= 512);
            assert!(!error.to_string().contains('\0'));
        }
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

#[track_caller]
fn check_failure(body: impl AsRef<[u8]>, expected: &str) {
    for format in FIXED {
        assert_eq!(failure(format, body.as_ref()), expected);
    }
}

#[test]
fn bytes_that_are_no_json() {
    check_failure("", r#"invalid_json at "": EOF while parsing a value at line 1 column 0"#);
    check_failure(" ", r#"invalid_json at "": EOF while parsing a value at line 1 column 1"#);
    check_failure("{\"id\": 1} {}", r#"invalid_json at "": trailing characters at line 1 column 11"#);
    check_failure("\0", r#"invalid_json at "": expected value at line 1 column 1"#);
    check_failure(b"\xFF\xFE{\0}\0", r#"invalid_json at "": expected value at line 1 column 1"#);
    check_failure(
        b"{\"id\": \"\xFF\"}",
        r#"invalid_json at "": invalid unicode code point at line 1 column 9"#,
    );
}

#[test]
fn json_that_is_no_object() {
    check_failure("[]", r#"not_an_object at "": expected an object, found an array"#);
    check_failure("null", r#"not_an_object at "": expected an object, found null"#);
    check_failure("\"{}\"", r#"not_an_object at "": expected an object, found a string"#);
    check_failure("-0.0e-0", r#"not_an_object at "": expected an object, found a number"#);
}

#[test]
fn limits_of_size_and_depth() {
    let body = format!(r#"{{"id": 1, "a": "{}"}}"#, "x".repeat(5_000_000));
    check_failure(body, r#"too_large at "": 5000018 bytes, the most is 4194304"#);
    let body = format!(r#"{{"id": 1, "a": [{}1]}}"#, "1,".repeat(MAX_VALUES));
    check_failure(body, r#"too_large at "": about 100003 values, the most is 100000"#);
    check_failure("[".repeat(100_000), r#"too_deep at "": nested 100000 deep, the most is 64"#);
    check_failure(r#"{"a":"#.repeat(100_000), r#"too_deep at "": nested 100000 deep, the most is 64"#);

    let depth = MAX_DEPTH - 1;
    let body =
        format!(r#"{{"id": 1, "skills": [], "a": {}"\u0000"{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let resume = good(Format::Profile, &body);
    assert_eq!(warnings(&resume)[0], format!("nul_removed /a{}", "/0".repeat(depth)));
}

#[test]
fn brackets_in_strings_have_no_depth() {
    let text = r#"\"[[{{\\"#.repeat(1000);
    good(Format::Profile, &format!(r#"{{"id": 1, "skills": [], "a": "{text}"}}"#));
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let resume = good(Format::Profile, "\u{FEFF}{\"id\": 1, \"skills\": [], \"work_experiences\": []}");
    assert_eq!(warnings(&resume), ["byte_order_mark "]);
    check_failure("\u{FEFF}\u{FEFF}{}", r#"invalid_json at "": expected value at line 1 column 1"#);
}

#[test]
fn nul_is_removed_from_texts_and_keys() {
    let body = r#"{"id": 1, "skills": ["Ru\u0000st", "\u0000", "\\u0000"], "work_experiences": [],
        "na\u0000me": "A\u0000da", "k\u0000": {"x\u0000/~y": 1}, "k": 2, "name": "Bob"}"#;
    let resume = good(Format::Profile, body);
    assert_eq!(keys(&resume), ["rust", "\\u0000"]);
    assert_eq!((resume.skills[0].name.as_str(), resume.name.as_deref()), ("Rust", Some("Bob")));
    let mut found = warnings(&resume);
    found.sort();
    let expected = [
        "blank_skill /skills/1",
        "nul_removed /k",
        "nul_removed /name",
        "nul_removed /skills/0",
        "nul_removed /skills/1",
    ];
    assert_eq!(found, expected);

    let resume = good(Format::JsonResume, r#"{"id": 1, "work": [], "a": [{"x\u0000/~y": 1}]}"#);
    assert_eq!(warnings(&resume), ["nul_removed /a/0/x~1~0y"]);
}

#[test]
fn of_equal_keys_the_last_counts() {
    let resume =
        good(Format::Profile, r#"{"id": 1, "skills": 5, "skills": ["SQL"], "name": "A", "name": "B"}"#);
    assert_eq!((keys(&resume), resume.name.as_deref()), (vec!["sql"], Some("B")));
}

#[test]
fn odd_numbers() {
    let body = r#"{"id": 1, "skills": [], "a": [1e308, -1e-400, 18446744073709551616, -0, 0.1e-7], "email": 1e308,
        "work_experiences": [{"start_date": 1e308, "end_date": -1}, {"start_date": 99999999999999999999, "end_date": 2019.5}]}"#;
    survive(body.as_bytes());
    good(Format::Profile, body);
}

#[test]
fn long_lists_are_cut_with_one_warning() {
    let names: Vec<String> = (0..30_000).map(|number| format!("skill {number}")).collect();
    let resume = good(
        Format::Profile,
        &text(&json!({"id": 1, "skills": names, "work_experiences": vec![json!({"title": "Dev"}); 20_000]})),
    );
    assert_eq!((resume.skills.len(), resume.work_experiences.len()), (MAX_SKILLS, MAX_ENTRIES));
    assert_eq!(warnings(&resume), ["too_many_skills /skills/1000", "too_many_entries /work_experiences"]);

    let profiles: Vec<_> = (0..20_000).map(|number| json!({"url": format!("http://x/{number}")})).collect();
    let resume = good(Format::JsonResume, &text(&json!({"id": 1, "basics": {"profiles": profiles}})));
    assert_eq!(resume.links.len(), MAX_LINKS);
}

#[test]
fn many_warnings_become_one() {
    let resume =
        good(Format::Profile, &text(&json!({"id": 1, "skills": vec![""; 90_000], "work_experiences": []})));
    assert_eq!(resume.warnings.len(), MAX_WARNINGS + 1);
    assert_eq!(resume.warnings[MAX_WARNINGS].code, WarningCode::MoreWarnings);
    assert_eq!(resume.warnings[MAX_WARNINGS].message, "89900 more warnings are not kept");
}

#[test]
fn a_huge_key_is_in_no_pointer() {
    let key = "~".repeat(1_000_000);
    let body = format!(
        r#"{{"id": 1, "skills": [], "work_experiences": [], "a": {{"{key}": [["\u0000", "\u0000"]]}}}}"#
    );
    assert_eq!(warnings(&good(Format::Profile, &body)), ["nul_removed /a", "nul_removed /a"]);
    survive(body.as_bytes());
}

/// As much work as fits the limits: each of these would take minutes if any step were quadratic.
#[test]
fn large_documents_take_no_long_time() {
    survive(text(&json!({"id": 1, "skills": vec!["same"; 90_000]})).as_bytes());
    survive(text(&json!({"id": 1, "skills": [{"keywords": vec!["same"; 90_000]}]})).as_bytes());
    survive(text(&json!({"id": 1, "skills": [" \u{200B}".repeat(900_000)], "basics": {"name": " ".repeat(1_000_000)}})).as_bytes());
    survive(format!(r#"{{"id": "{}", "skills": []}}"#, r"\u0000".repeat(600_000)).as_bytes());
    let keys: String = (0..90_000).map(|number| format!(r#""\u0000{number}": 0,"#)).collect();
    survive(format!(r#"{{{keys}"id": 1, "skills": []}}"#).as_bytes());
}

#[test]
fn documents_cut_off_at_any_byte() {
    let profile = include_bytes!("../fixtures/profile.json").as_slice();
    for body in [profile, include_bytes!("../fixtures/old.resume.json")] {
        let body = body.trim_ascii_end();
        for end in 0..body.len() {
            for format in FIXED {
                let error = parse(format, Some("1"), &body[..end]).expect_err("a part of a document");
                assert_eq!(error.code, ErrorCode::InvalidJson);
                assert_eq!(id_at(&body[..end], "/id"), None);
            }
        }
    }
}

/// Changes a good document at random, always the same way, and parses what comes out.
#[test]
fn documents_changed_at_random() {
    let bodies: [&[u8]; 2] =
        [include_bytes!("../fixtures/profile.json"), include_bytes!("../fixtures/old.resume.json")];
    let pieces: [&[u8]; 14] = [
        b"\"", b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"null", b"-1e9", b"\xFF", b"\\ud83d",
        b"\"id\":", b"0",
    ];
    let mut random = SplitMix(42);
    for round in 0..20_000 {
        let mut body = bodies[round % bodies.len()].to_vec();
        for _ in 0..=random.below(4) {
            let start = random.below(body.len() + 1);
            let end = (start + random.below(12)).min(body.len());
            let piece = match random.below(4) {
                0 => Vec::new(),
                1 => vec![random.below(256) as u8],
                2 => body[start..end].repeat(2),
                _ => pieces[random.below(pieces.len())].to_vec(),
            };
            body.splice(start..end, piece);
        }
        survive(&body);
    }
}

/// The generator `SplitMix64` (Steele, Lea, Flood 2014): tests need no more.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}
