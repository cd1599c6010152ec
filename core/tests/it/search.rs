//! Searching resumes by skill.

use std::collections::HashSet;

use resume_core::resume::{
    self, MAX_SKILLS, Match, SearchError, SearchPage, SkillQuery, TOTAL_EXACT_UP_TO, Total,
};

use crate::fixture::{Fixture, item};

impl Fixture {
    /// Stores resumes, the first one oldest.
    async fn store_people(&self, people: &[(&str, &[&str])]) {
        for (id, skills) in people {
            let new = self.parsed(&[item(id, skills)]).await;
            self.store_parsed(new).await;
        }
    }

    async fn search(&self, skills: &str, matching: Match, before: Option<i64>, limit: u32) -> SearchPage {
        let query = SkillQuery::parse(skills).unwrap();
        resume::search(self.pool(), &query, matching, before, limit).await.unwrap()
    }

    /// The external ids that a search finds, in its order.
    async fn find(&self, skills: &str, matching: Match) -> Vec<String> {
        let page = self.search(skills, matching, None, 100).await;
        assert_eq!(page.total, Total { value: page.hits.len() as i64, is_exact: true });
        assert_eq!(page.next, None);
        external_ids(&page)
    }

    /// Stores `count` resumes with one skill in no time.
    async fn store_many(&self, prefix: &str, skill: &str, count: i32) {
        sqlx::query!(
            r#"
            with new as (
                insert into people (id, document_id, content_hash, source_id, external_id)
                select nextval('document_ids'), 0, gen_random_uuid(), (select min(id) from sources), $1 || n
                from generate_series(1, $3::integer) n
                returning id, external_id
            )
            insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
            select id, 0, 1, 0, array[$2], json_build_object('external_id', external_id) from new
            "#,
            prefix,
            skill,
            count,
        )
        .execute(self.pool())
        .await
        .unwrap();
    }
}

fn external_ids(page: &SearchPage) -> Vec<String> {
    page.hits.iter().map(|hit| hit.resume.external_id.clone()).collect()
}

const PEOPLE: [(&str, &[&str]); 5] = [
    ("ada", &["React.js", "SQL"]),
    ("bob", &["ReactJS", "C"]),
    ("cyd", &["SQL", "C++"]),
    ("dan", &["React", "PostgreSQL", "sql"]),
    ("eve", &[]),
];

#[tokio::test]
async fn any_finds_those_with_one_and_all_those_with_every_skill() {
    let fixture = Fixture::new().await;
    fixture.store_people(&PEOPLE).await;
    for (skills, any, all) in [
        ("React,SQL", &["dan", "cyd", "bob", "ada"][..], &["dan", "ada"][..]),
        ("SQL", &["dan", "cyd", "ada"], &["dan", "cyd", "ada"]),
        ("C", &["bob"], &["bob"]),
        ("c++,C", &["cyd", "bob"], &[]),
        ("Postgres, react", &["dan", "bob", "ada"], &["dan"]),
        ("Cobol,SQL", &["dan", "cyd", "ada"], &[]),
        ("Cobol", &[], &[]),
    ] {
        assert_eq!(fixture.find(skills, Match::Any).await, any, "any of {skills}");
        assert_eq!(fixture.find(skills, Match::All).await, all, "all of {skills}");
    }
}

#[tokio::test]
async fn every_spelling_of_a_skill_is_the_same_skill() {
    let fixture = Fixture::new().await;
    fixture.store_people(&PEOPLE).await;
    for spelling in ["React", "react.js", "ReactJS", " REACT ", "React,ReactJS,React.js"] {
        for matching in [Match::Any, Match::All] {
            assert_eq!(fixture.find(spelling, matching).await, ["dan", "bob", "ada"], "{spelling}");
        }
    }
}

#[tokio::test]
async fn matched_skills_are_named_as_the_resume_names_them() {
    let fixture = Fixture::new().await;
    fixture.store_people(&PEOPLE).await;
    let page = fixture.search("sql,react", Match::Any, None, 10).await;
    let matched: Vec<_> = page.hits.iter().map(|hit| hit.matched_skills.join(" ")).collect();
    assert_eq!(matched, ["React sql", "SQL", "ReactJS", "React.js SQL"]);
    let all: Vec<_> = page.hits[0].resume.document.skills.iter().map(|skill| skill.name.as_str()).collect();
    assert_eq!(all, ["React", "PostgreSQL", "sql"], "the hit has the whole resume");
}

#[tokio::test]
async fn a_changed_resume_is_found_by_its_new_skills_alone() {
    let fixture = Fixture::new().await;
    fixture.store_people(&[("ada", &["React"]), ("bob", &["React"]), ("ada", &["SQL"])]).await;
    assert_eq!(fixture.find("React", Match::Any).await, ["bob"]);
    assert_eq!(fixture.find("SQL", Match::Any).await, ["ada"]);
}

#[tokio::test]
async fn pages_follow_each_other_and_end() {
    let fixture = Fixture::new().await;
    fixture.store_people(&PEOPLE).await;
    for matching in [Match::Any, Match::All] {
        let first = fixture.search("SQL", matching, None, 2).await;
        assert_eq!(external_ids(&first), ["dan", "cyd"]);
        assert_eq!(first.next, Some(first.hits[1].resume.id));
        let second = fixture.search("SQL", matching, first.next, 2).await;
        assert_eq!(external_ids(&second), ["ada"]);
        assert_eq!(second.next, None);
        assert_eq!((first.total, second.total), (second.total, Total { value: 3, is_exact: true }));
        // A page that the last hit fills has no next one.
        assert_eq!(fixture.search("SQL", matching, None, 3).await.next, None);
        let past_the_end = fixture.search("SQL", matching, Some(0), 2).await;
        assert_eq!((external_ids(&past_the_end), past_the_end.next), (vec![], None));
    }
}

/// Whoever was there at the first page is seen exactly once, however many are added in the meantime.
#[tokio::test]
async fn pages_show_each_resume_once_while_others_are_added() {
    let fixture = Fixture::new().await;
    fixture.store_many("old-", "rust", 95).await;
    for matching in [Match::Any, Match::All] {
        let at_first: HashSet<_> = {
            let everyone = fixture.search("Rust", matching, None, 1000).await;
            external_ids(&everyone).into_iter().collect()
        };
        let mut seen = Vec::new();
        let mut before = None;
        for number in 0.. {
            let page = fixture.search("Rust", matching, before, 10).await;
            seen.extend(external_ids(&page));
            before = page.next;
            if before.is_none() {
                break;
            }
            fixture.store_many(&format!("{matching:?}-{number}-"), "rust", 7).await;
        }
        assert_eq!(seen.len(), at_first.len());
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), at_first);
    }
}

#[tokio::test]
async fn hits_are_counted_up_to_ten_thousand() {
    let fixture = Fixture::new().await;
    assert_eq!(TOTAL_EXACT_UP_TO, 10_000);
    fixture.store_many("many-", "rust", 9_999).await;
    for (added, total) in [
        (0, Total { value: 9_999, is_exact: true }),
        (1, Total { value: 10_000, is_exact: true }),
        (1, Total { value: 10_000, is_exact: false }),
        (5_000, Total { value: 10_000, is_exact: false }),
    ] {
        fixture.store_many(&format!("{added} more, {}-", total.is_exact), "rust", added).await;
        for matching in [Match::Any, Match::All] {
            assert_eq!(fixture.search("Rust", matching, None, 1).await.total, total, "{matching:?}");
        }
    }
}

#[test]
fn a_list_of_skills_is_read_leniently() {
    let read = SkillQuery::parse("React,SQL");
    assert!(read.is_ok());
    assert_eq!(SkillQuery::parse(" ReactJS ,, SQL,react , "), read);
}

#[test]
fn what_is_wrong_with_a_list_of_skills_is_said() {
    let error = |list: &str| SkillQuery::parse(list).unwrap_err();
    for nothing in ["", " ", ",", " ,\u{200b},", "\u{a0}"] {
        assert_eq!(error(nothing), SearchError::NoSkills, "{nothing:?}");
    }
    let many = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(",");
    assert!(SkillQuery::parse(&many(MAX_SKILLS)).is_ok());
    assert_eq!(error(&many(MAX_SKILLS + 1)), SearchError::TooManySkills(MAX_SKILLS + 1));
    assert_eq!(error(&format!("SQL,,{}", "x".repeat(129))), SearchError::SkillTooLong(2));
    assert!(SkillQuery::parse(&"x".repeat(128)).is_ok());
    assert_eq!(error("SQL,a\0b"), SearchError::SkillHasNul(2));
}
