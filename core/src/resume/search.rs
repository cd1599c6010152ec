use sqlx::{PgConnection, PgPool};

use super::stored::{Resume, load};
use crate::skill::{MAX_SKILL_CHARS, Skill, SkillError};

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
                return Err(SearchError::TooManySkills(
                    list.split(',').filter(|n| !n.trim().is_empty()).count(),
                ));
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
/// Two statements or three. Where at most [`TOTAL_EXACT_UP_TO`] resumes match, the first one has seen them
/// all. Where more match, they are so common that walking back from the newest soon finds a page. The last
/// one loads the resumes of the page.
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
    let mut conn = pool.acquire().await?;
    let few = match matching {
        Match::Any => few_any(&mut conn, &query.0, before, fetch).await?,
        Match::All => few_all(&mut conn, &query.0, before, fetch).await?,
    };
    let total = Total { value: few.count.min(TOTAL_EXACT_UP_TO), is_exact: few.count <= TOTAL_EXACT_UP_TO };
    let mut ids = match matching {
        _ if total.is_exact => few.ids,
        Match::Any => walk_any(&mut conn, &query.0, before, fetch).await?,
        Match::All => walk_all(&mut conn, &query.0, before, fetch).await?,
    };
    let has_more = ids.len() > limit as usize;
    ids.truncate(limit as usize);
    let next = ids.last().copied().filter(|_| has_more);
    let found = load(&mut conn, &ids).await?;
    let hits = found.into_iter().map(|resume| hit(resume, &query.0)).collect();
    Ok(SearchPage { hits, total, next })
}

fn hit(resume: Resume, keys: &[String]) -> Hit {
    let matched = resume.document.skills.iter().filter(|skill| keys.contains(&skill.key));
    let matched_skills = matched.map(|skill| skill.name.clone()).collect();
    Hit { resume, matched_skills }
}

// One static query for each shape. They want a connection of `db::Role::Api`, which plans each execution
// anew, with the skills in hand: the GIN index is right for a rare skill and wrong for one that everybody
// has. The choice between the two ways to a page is ours, though, for it needs the true number of matches,
// and the planner only has a guess.

/// Matching resumes, as far as they were looked at.
struct Few {
    /// How many, at most one over [`TOTAL_EXACT_UP_TO`].
    count: i64,
    /// Those of the page; meaningless when there were too many to look at all of them.
    ids: Vec<i64>,
}

async fn few_any(
    conn: &mut PgConnection,
    keys: &[String],
    before: i64,
    limit: i64,
) -> Result<Few, sqlx::Error> {
    sqlx::query_as!(
        Few,
        r#"
        with matching as materialized (select person_id as id from resumes where skills && $1 and hidden_at is null limit $4)
        select count(*) as "count!",
               array(select id from matching where id < $2 order by id desc limit $3) as "ids!"
        from matching
        "#,
        keys,
        before,
        limit,
        TOTAL_EXACT_UP_TO + 1,
    )
    .fetch_one(conn)
    .await
}

async fn few_all(
    conn: &mut PgConnection,
    keys: &[String],
    before: i64,
    limit: i64,
) -> Result<Few, sqlx::Error> {
    sqlx::query_as!(
        Few,
        r#"
        with matching as materialized (select person_id as id from resumes where skills @> $1 and hidden_at is null limit $4)
        select count(*) as "count!",
               array(select id from matching where id < $2 order by id desc limit $3) as "ids!"
        from matching
        "#,
        keys,
        before,
        limit,
        TOTAL_EXACT_UP_TO + 1,
    )
    .fetch_one(conn)
    .await
}

async fn walk_any(
    conn: &mut PgConnection,
    keys: &[String],
    before: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select person_id from resumes
        where skills && $1 and person_id < $2 and hidden_at is null order by person_id desc limit $3
        "#,
        keys,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}

async fn walk_all(
    conn: &mut PgConnection,
    keys: &[String],
    before: i64,
    limit: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select person_id from resumes
        where skills @> $1 and person_id < $2 and hidden_at is null order by person_id desc limit $3
        "#,
        keys,
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}
