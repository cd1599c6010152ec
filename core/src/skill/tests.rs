use std::collections::HashSet;

use super::aliases::ALIASES;
use super::*;

#[track_caller]
fn check(names: &[&str], key: &str) {
    for name in names {
        assert_eq!(canonical_key(name), key, "the key of {name:?}");
        assert_eq!(canonical_key(key), key, "a key is its own key");
    }
}

#[test]
fn spellings_of_one_skill_share_a_key() {
    check(&["React", "ReactJS", "React.js", "react js", "REACT.JS", " React\n"], "react");
    check(&["Node.js", "NodeJS", "node"], "node.js");
    check(&["PostgreSQL", "Postgres", "postgre SQL"], "postgresql");
    check(&["JS", "JavaScript", "Javascript"], "javascript");
    check(&["K8s", "Kubernetes"], "kubernetes");
    check(&["Go", "Golang"], "go");
    check(&["C#", "CSharp", "C Sharp"], "c#");
    check(&[".NET", "dotnet", "dot  net"], ".net");
    check(&["AWS", "Amazon Web Services"], "aws");
    check(&["GCP", "Google Cloud Platform"], "gcp");
    check(&["Vue", "Vue.js"], "vue");
    check(&["AngularJS", "Angular.js"], "angularjs");
}

#[test]
fn different_skills_stay_different() {
    let names = [
        "C",
        "C++",
        "C#",
        "F#",
        "R",
        ".NET",
        "ASP.NET",
        "Node.js",
        "Java",
        "JavaScript",
        "React",
        "React Native",
        "Angular",
        "AngularJS",
        "SQL",
        "SQL Server",
        "Go",
        "HTML",
        "Sass",
        "SCSS",
        "日本語",
        "Ü",
        "U",
    ];
    let keys: HashSet<String> = names.iter().map(|name| canonical_key(name)).collect();
    assert_eq!(keys.len(), names.len());
}

#[test]
fn white_space_and_invisible_characters_do_not_count() {
    check(
        &[
            "Machine Learning",
            " machine \t\r\n learning ",
            "Machine\u{A0}Learning",
            "machine\u{3000}learning",
        ],
        "machine learning",
    );
    check(
        &["Ru\u{200B}st", "\u{FEFF}Rust", "Rust\u{200D}", "R\u{AD}ust", "Rust\0", "\u{202A}Rust\u{202C}"],
        "rust",
    );
    check(&["", " ", "\u{200B}", "\u{A0}\u{FEFF}\0"], "");
    check(&["ÉCRITURE", "écriture"], "écriture");
}

#[test]
fn a_skill_keeps_its_name() {
    assert_eq!(Skill::new("  React.JS "), Ok(Skill { name: "React.JS".to_owned(), key: "react".to_owned() }));
}

#[test]
fn blank_and_long_names_are_no_skills() {
    assert_eq!(Skill::new(" \u{200B} "), Err(SkillError::Blank));
    assert_eq!(Skill::new(&"é".repeat(MAX_SKILL_CHARS + 1)), Err(SkillError::TooLong));
    assert_eq!(Skill::new(&"İ".repeat(MAX_SKILL_CHARS)), Err(SkillError::TooLong), "its lower case has two");
    assert!(Skill::new(&format!("  {}  ", "é".repeat(MAX_SKILL_CHARS))).is_ok());
}

#[test]
fn the_alias_table_is_sound() {
    let keys: HashSet<&str> = ALIASES.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys.len(), ALIASES.len(), "a key has one row");
    assert!(ALIASES.is_sorted_by_key(|(key, _)| *key), "rows stand by key");
    let mut seen = HashSet::new();
    for (key, aliases) in ALIASES {
        assert_eq!(fold(key), *key, "keys are folded");
        assert!(!aliases.is_empty(), "{key} has no alias");
        for alias in *aliases {
            assert_eq!(fold(alias), *alias, "aliases are folded");
            assert!(!keys.contains(alias), "{alias} is an alias and a key");
            assert!(seen.insert(alias), "{alias} stands twice");
            assert_eq!(canonical_key(alias), *key);
        }
    }
}

#[test]
fn a_key_is_its_own_key_for_every_character() {
    for c in (0..=0x10FFFF_u32).filter_map(char::from_u32) {
        let key = canonical_key(&format!("a{c}b"));
        assert_eq!(canonical_key(&key), key, "U+{:04X}", u32::from(c));
        assert!(!key.contains('\0'));
    }
}
