//! Texts that nobody writes in good faith. Each must end in an error, and soon.

use std::time::{Duration, Instant};

use super::*;

/// What is said about a text that is no definition.
#[track_caller]
fn refused(yaml: &str) -> String {
    let start = Instant::now();
    let error = match Definition::from_yaml(yaml) {
        Err(DefinitionError::Text(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    assert!(error.chars().count() <= 500);
    error
}

/// The smallest definition as YAML, with more lines.
fn with_lines(lines: &str) -> String {
    format!(
        "name: a\nbase_url: https://a\nlimits: [{{calls: 1, per: 1s}}]\nformat: profile\n\
         list: {{path: /a, items: /b, paging: {{single: {{}}}}}}\n{lines}"
    )
}

#[test]
fn the_lines_alone_are_fine() {
    Definition::from_yaml(&with_lines("")).unwrap();
}

#[test]
fn a_text_that_is_too_long() {
    let megabyte = format!("# {}", "x".repeat(1_000_000));
    assert_eq!(refused(&megabyte), "the definition has 1000002 bytes, the most is 65536");
    let comment = "#".repeat(MAX_DEFINITION_BYTES - with_lines("").len());
    Definition::from_yaml(&with_lines(&comment)).unwrap();
    let long = with(&[("/description", json!("x".repeat(70_000)))]);
    let error = Definition::from_json(&long).unwrap_err().to_string();
    assert!(error.ends_with("bytes, the most is 65536"), "{error}");
}

#[test]
fn a_nul_anywhere_is_a_fault() {
    let places = [
        ("/description", json!("a\0b")),
        ("/list/path", json!("/a\0")),
        ("/list/params", json!({"a\0/": "\0"})),
        ("/list/items", json!("/a\0b")),
    ];
    for (at, value) in places {
        let faults = faults(&with(&[(at, value)]));
        let field = at.split('/').nth(1).unwrap();
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("/{field}"))), "{at}: {faults:?}");
    }
    let expected = "/list: holds a NUL character (\\u0000): leave it out";
    assert_eq!(faults(&with(&[("/list/params", json!({"a\0/": ""}))])), [expected]);
    assert_eq!(faults(&with(&[("/description", json!(r"a\u0000b"))])), [""; 0], "a backslash and a text");
}

#[test]
fn aliases_that_grow() {
    let laughs: String =
        (1..30).map(|n| format!("{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(", "))).collect();
    let body = laughs.replace('\n', "\n    ");
    let bomb = format!("list:\n  body:\n    0: &l0 [lol]\n    {body}");
    refused(&bomb);
    refused(&format!("list: &a\n  body: *a\n{}", "#".repeat(1000)));
    let wide = format!(
        "list:\n  body:\n    a: &a \"{}\"\n    b: [{}]",
        "x".repeat(30_000),
        vec!["*a"; 8_000].join(",")
    );
    refused(&wide);
}

#[test]
fn nesting() {
    refused(&"[".repeat(10_000));
    refused(&"{a: ".repeat(10_000));
    refused(&with_lines(&format!("list: {}", "{body: ".repeat(5_000))));
    let block: String = (0..300).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused(&format!("list:\n body:\n{}", block.replace('\n', "\n  ")));
    refused(&"- ".repeat(30_000));
    refused(&"? ".repeat(30_000));
}

#[test]
fn fields_that_stand_twice() {
    let error = refused(&with_lines("name: b\n"));
    assert!(error.contains("duplicate") && error.contains("name") && error.contains("line 6"), "{error}");
    let error = refused(&with_lines("headers: {A: b, A: c}\n"));
    assert!(error.contains("duplicate"), "{error}");
    refused(&with_lines("<<: {description: merged}\n"));
}

#[test]
fn texts_of_another_shape() {
    let cases = [
        ("", ""),
        ("null", ""),
        ("just a text", ""),
        ("- a\n- b", ""),
        ("\u{0}", ""),
        ("name: [", ""),
        ("name: a\n\tbase_url: b", ""),
        ("%YAML 9.9\n---\nname: a", ""),
        ("name: !!binary AAAA", ""),
        ("a: 1\n---\nb: 2", ""),
    ];
    for (yaml, expected) in cases {
        let error = refused(yaml);
        assert!(!error.is_empty() && error.contains(expected), "{yaml:?}: {error}");
    }
    let error = refused(&with_lines("concurrency: many\n"));
    assert!(error.contains("line 6, column 14"), "{error}");
    let error = refused(&with_lines("colour: red\n"));
    assert!(error.contains("unknown field `colour`") && error.contains("line 6"), "{error}");
    let error = refused("name: a\n");
    assert!(error.contains("missing field `format`"), "{error}");
    let error = refused(&with_lines("concurrency: 1\n---\nname: b\n"));
    assert!(error.to_lowercase().contains("document"), "{error}");
    let error = refused(&with_lines("auth: [{magic: env:RESUME_SECRET_A}]\n"));
    assert!(error.starts_with("/auth/0: write one of basic") && error.contains("line 6"), "{error}");
}

/// A text that is wrong elsewhere must not show what stands beside, which may be a secret.
#[test]
fn errors_show_no_lines() {
    for line in ["auth: [{bearer: hunter2}]\ncolour: red\n", "auth: [{bearer: hunter2, x: 1}]\n"] {
        let error = refused(&with_lines(line));
        assert!(!error.contains("hunter2"), "{error}");
    }
    let faults = Definition::from_yaml(&with_lines("auth: [{bearer: hunter2}]\n")).unwrap_err().to_string();
    assert!(faults.contains("/auth/0/bearer") && !faults.contains("hunter2"), "{faults}");
}
