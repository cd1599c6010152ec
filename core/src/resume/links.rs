use sqlx::{PgConnection, types::Json};

/// Some of the resumes, and their links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// Links of people, in the order of their resumes. Each holds the host, somewhere.
    pub urls: Vec<String>,
    /// The last resume that was looked at; `None` when there are no more.
    pub last_id: Option<i64>,
}

/// The links to a host in the resumes of all sources but this one that are not hidden: home pages, and
/// profiles as JSON Resume has them. Looks through `limit` resumes behind `after`, in the order of their ids.
///
/// It reads them, for there is no index: with one every resume that is stored would cost more, at ten
/// thousand a second, for what is asked for once in a while. Ten thousand resumes take some 0.15 s, and ten
/// million a few minutes in all, in short statements that lock nothing. Whoever is found then costs a call to
/// a source that allows one or two a second.
///
/// # Errors
/// The database's.
pub(crate) async fn links_after(
    conn: &mut PgConnection,
    source_id: i32,
    host: &str,
    after: i64,
    limit: i64,
) -> Result<Links, sqlx::Error> {
    let last_id = sqlx::query_scalar!(
        r#"
        select max(person_id) from (
            select person_id from resumes where person_id > $1 order by person_id limit $2) part
        "#,
        after,
        limit,
    )
    .fetch_one(&mut *conn)
    .await?;
    let Some(last_id) = last_id else { return Ok(Links { urls: Vec::new(), last_id: None }) };
    let found = sqlx::query_scalar!(
        r#"
        select links as "links!: Json<Vec<String>>" from (
            select r.person_id, (
                select coalesce(json_agg(link), '[]') from (
                    select r.document ->> 'url'
                    union all
                    select json_array_elements_text(r.document -> 'links') where r.document -> 'links' is not null
                ) as l (link)
                where strpos(lower(link), $4) > 0
            ) as links
            from resumes r join people p on p.id = r.person_id
            where r.person_id > $1 and r.person_id <= $2 and p.source_id <> $3 and r.hidden_at is null
        ) as l
        where links::text <> '[]'
        order by person_id
        "#,
        after,
        last_id,
        source_id,
        host,
    )
    .fetch_all(conn)
    .await?;
    Ok(Links { urls: found.into_iter().flat_map(|links| links.0).collect(), last_id: Some(last_id) })
}
