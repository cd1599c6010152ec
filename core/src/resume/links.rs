use sqlx::{PgConnection, types::Json};

/// Some of the resumes, and their links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// Links of people, in the order of their resumes. Each holds the host, somewhere.
    pub urls: Vec<String>,
    /// The last resume that was looked at; `None` when there are no more.
    pub last_id: Option<i64>,
}

/// The links to a host in the resumes of all sources but this one that are not hidden: home pages, and profiles as JSON Resume has
/// them. Looks through `limit` resumes behind `after`, in the order of their ids.
///
/// It reads them, for there is no index: with one every resume that is stored would cost more, at ten thousand a second, for what is
/// asked for once in a while. Ten thousand resumes take some 0.15 s, and ten million a few minutes in all, in short statements that
/// lock nothing. Whoever is found then costs a call to a source that allows one or two a second.
///
/// # Errors
/// The database's.
pub async fn links_after(
    conn: &mut PgConnection,
    (source, host): (&str, &str),
    after: i64,
    limit: i64,
) -> Result<Links, sqlx::Error> {
    let last_id = sqlx::query_scalar!(
        r#"select max(id) from (select id from resumes where id > $1 order by id limit $2) part"#,
        after,
        limit,
    )
    .fetch_one(&mut *conn)
    .await?;
    let Some(last_id) = last_id else { return Ok(Links { urls: Vec::new(), last_id: None }) };
    let found = sqlx::query_scalar!(
        r#"
        select links as "links!: Json<Vec<String>>" from (
            select r.id, (
                select coalesce(jsonb_agg(link), '[]') from (
                    select r.document ->> 'url'
                    union all
                    select profile ->> 'url' from jsonb_array_elements(
                        case jsonb_typeof(r.document #> '{extra,basics,profiles}')
                            when 'array' then r.document #> '{extra,basics,profiles}'
                            else '[]'
                        end) as profile
                ) as l (link)
                where strpos(lower(link), $4) > 0
            ) as links
            from resumes r
            where r.id > $1 and r.id <= $2 and r.source <> $3 and r.gone_at is null
        ) as l
        where links <> '[]'
        order by id
        "#,
        after,
        last_id,
        source,
        host,
    )
    .fetch_all(conn)
    .await?;
    Ok(Links { urls: found.into_iter().flat_map(|links| links.0).collect(), last_id: Some(last_id) })
}
