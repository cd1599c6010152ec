use sqlx::PgConnection;

/// Some of the resumes, and their links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Links {
    /// Links of people, in no order. Each holds the host, somewhere.
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
    sqlx::query_as!(
        Links,
        r#"
        with part as materialized (
            select max(person_id) as last_id from (
                select person_id from resumes where person_id > $1 order by person_id limit $2) next
        )
        select part.last_id, array(
            select l.link
            from resumes r join people p on p.id = r.person_id
            cross join lateral (
                select r.document ->> 'url'
                union all
                select json_array_elements_text(r.document -> 'links') where r.document -> 'links' is not null
            ) as l (link)
            where r.person_id > $1 and r.person_id <= part.last_id and p.source_id <> $3 and r.hidden_at is null
              and strpos(lower(l.link), $4) > 0
        ) as "urls!"
        from part
        "#,
        after,
        limit,
        source_id,
        host,
    )
    .fetch_one(conn)
    .await
}
