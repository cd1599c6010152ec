use sqlx::{PgPool, types::Json};

use crate::{
    parsing::ParsedResume,
    resume::Resume,
    skill::{MAX_SKILL_CHARS, Skill, SkillError},
};

/// The most skills in one search.
pub const MAX_SKILLS: usize = 50;
/// The most hits on one page of results.
pub const MAX_LIMIT: u32 = 100;
/// Up to here the number of hits is counted.
pub const TOTAL_EXACT_UP_TO: i64 = 10_000;

/// Which of the skills a resume must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// At least one.
    Any,
    /// Every one.
    All,
}

/// The skills to search for, by their canonical keys, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkillQuery(Vec<String>);

/// What is wrong with the skills of a search.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// None is named.
    #[error("name at least one skill, for example skills=React,SQL")]
    NoSkills,
    /// More than [`MAX_SKILLS`].
    #[error("{0} skills are named, the most is {MAX_SKILLS}")]
    TooManySkills(usize),
    /// One is over [`MAX_SKILL_CHARS`].
    #[error("skill {0} of the list has more than {MAX_SKILL_CHARS} characters")]
    SkillTooLong(usize),
    /// One holds a NUL character.
    #[error("skill {0} of the list holds a NUL character")]
    SkillHasNul(usize),
}

impl SkillQuery {
    /// Reads a comma-separated list of skill names. Blank entries are ignored.
    ///
    /// # Errors
    /// See [`SearchError`].
    pub fn parse(list: &str) -> Result<Self, SearchError> {
        let mut keys = Vec::new();
        let named = list.split(',').filter(|name| !name.trim().is_empty());
        for (position, name) in named.enumerate().map(|(i, name)| (i + 1, name)) {
            if name.contains('\0') {
                return Err(SearchError::SkillHasNul(position));
            }
            match Skill::new(name) {
                Ok(skill) if keys.contains(&skill.key) => {}
                Ok(skill) => keys.push(skill.key),
                Err(SkillError::Blank) => {}
                Err(SkillError::TooLong) => return Err(SearchError::SkillTooLong(position)),
            }
            if position > MAX_SKILLS {
                return Err(SearchError::TooManySkills(list.split(',').filter(|n| !n.trim().is_empty()).count()));
            }
        }
        if keys.is_empty() { Err(SearchError::NoSkills) } else { Ok(Self(keys)) }
    }
}

/// A resume that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The resume.
    pub resume: Resume,
    /// Those of its skills that were searched for, named as the resume names them.
    pub matched_skills: Vec<String>,
}

/// How many resumes match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// The number, at most [`TOTAL_EXACT_UP_TO`].
    pub value: i64,
    /// False: there are more than that.
    pub is_exact: bool,
}

/// One page of results.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// The hits, the newest resume first.
    pub hits: Vec<Hit>,
    /// How many there are on all pages.
    pub total: Total,
    /// Give this as `before` to get the next page; `None` on the last one.
    pub next: Option<i64>,
}

/// Finds resumes by skill, the newest first: up to `limit` of those with an id below `before`, if given.
///
/// # Errors
/// The database's.
pub async fn search(
    pool: &PgPool,
    query: &SkillQuery,
    matching: Match,
    before: Option<i64>,
    limit: u32,
) -> Result<SearchPage, sqlx::Error> {
    let before = before.unwrap_or(i64::MAX);
    // One more than asked for tells whether there is a next page.
    let fetch = i64::from(limit) + 1;
    let mut found = match matching {
        Match::Any => find_any(pool, &query.0, before, fetch).await?,
        Match::All => find_all(pool, &query.0, before, fetch).await?,
    };
    let counted = match matching {
        Match::Any => count_any(pool, &query.0).await?,
        Match::All => count_all(pool, &query.0).await?,
    };
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|resume| resume.id);
    let total = Total { value: counted.min(TOTAL_EXACT_UP_TO), is_exact: counted <= TOTAL_EXACT_UP_TO };
    let hits = found.into_iter().map(|resume| hit(resume, &query.0)).collect();
    Ok(SearchPage { hits, total, next })
}

fn hit(resume: Resume, keys: &[String]) -> Hit {
    let matched = resume.document.skills.iter().filter(|skill| keys.contains(&skill.key));
    let matched_skills = matched.map(|skill| skill.name.clone()).collect();
    Hit { resume, matched_skills }
}

// One static query for each shape. They want a connection of `db::Role::Api`, which plans each execution anew: with the
// skills in hand the planner walks the newest resumes where a skill is common and the GIN index where it is rare; one
// plan for any skill would be wrong for one of them.

async fn find_any(pool: &PgPool, keys: &[String], before: i64, limit: i64) -> Result<Vec<Resume>, sqlx::Error> {
    sqlx::query_as!(
        Resume,
        r#"
        select id, source, external_id, raw_document_id, parser_version,
               document as "document: Json<ParsedResume>", created_at, updated_at
        from resumes where skills && $1 and id < $2 order by id desc limit $3
        "#,
        keys,
        before,
        limit,
    )
    .fetch_all(pool)
    .await
}

async fn find_all(pool: &PgPool, keys: &[String], before: i64, limit: i64) -> Result<Vec<Resume>, sqlx::Error> {
    sqlx::query_as!(
        Resume,
        r#"
        select id, source, external_id, raw_document_id, parser_version,
               document as "document: Json<ParsedResume>", created_at, updated_at
        from resumes where skills @> $1 and id < $2 order by id desc limit $3
        "#,
        keys,
        before,
        limit,
    )
    .fetch_all(pool)
    .await
}

async fn count_any(pool: &PgPool, keys: &[String]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from resumes where skills && $1 limit $2) matching"#,
        keys,
        TOTAL_EXACT_UP_TO + 1,
    )
    .fetch_one(pool)
    .await
}

async fn count_all(pool: &PgPool, keys: &[String]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from resumes where skills @> $1 limit $2) matching"#,
        keys,
        TOTAL_EXACT_UP_TO + 1,
    )
    .fetch_one(pool)
    .await
}
