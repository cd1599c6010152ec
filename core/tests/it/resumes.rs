//! Storing parsed documents as resumes.

use resume_core::{
    document::{self, NewDocument},
    parsing::{Format, PARSER_VERSION, parse},
    resume::{self, NewResume, Outcome, Resume},
    source,
};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, Random, in_time, item};

/// What the parser makes of an item whose person has no document yet.
fn parsed(document_id: i64, item: &NewDocument) -> NewResume {
    let parsed = parse(Format::Profile, item.external_id.as_deref(), &item.body).unwrap();
    NewResume { document_id, person_id: document_id, is_overtaken: false, parsed }
}

impl Fixture {
    /// Stores raw documents and gives them parsed, with their ids.
    pub(crate) async fn parsed(&self, items: &[NewDocument]) -> Vec<NewResume> {
        let ids = self.insert(items).await;
        assert_eq!(ids.len(), items.len(), "all are new");
        let mut parsed: Vec<_> = ids.into_iter().zip(items).map(|(id, item)| parsed(id, item)).collect();
        for new in &mut parsed {
            let document = document::find(self.pool(), new.document_id).await.unwrap().unwrap();
            new.person_id = document.resume_id;
        }
        parsed
    }

    /// Stores resumes and commits.
    pub(crate) async fn store_parsed(&self, new: Vec<NewResume>) {
        self.store_parsed_by_map(0, new).await;
    }

    async fn store_parsed_by_map(&self, map_version: i32, parsed: Vec<NewResume>) {
        let mut tx = self.pool().begin().await.unwrap();
        let source = source::find(&mut tx, NUMBERED).await.unwrap().unwrap();
        let outcome = Outcome { parsed, failed: Vec::new() };
        resume::store_reparsed(&mut tx, source.id, map_version, &outcome).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The resume of an external id; there must be one.
    async fn resume_of(&self, external_id: &str) -> Resume {
        let id = sqlx::query_scalar!("select id from people where external_id = $1", external_id);
        let id = id.fetch_one(self.pool()).await.unwrap();
        resume::find(self.pool(), id, false).await.unwrap().unwrap()
    }

    async fn skill_keys(&self, external_id: &str) -> Vec<String> {
        let keys = sqlx::query_scalar!(
            "select skills from resumes join people p on p.id = person_id where external_id = $1",
            external_id
        );
        keys.fetch_one(self.pool()).await.unwrap()
    }

    async fn count_resumes(&self) -> i64 {
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from resumes"#);
        count.fetch_one(self.pool()).await.unwrap()
    }

    /// As if another version of the parser had made a resume.
    async fn set_parser_version(&self, external_id: &str, version: i32) {
        sqlx::query!(
            "update resumes set parser_version = $2 from people p where p.id = person_id and external_id = $1",
            external_id,
            version
        )
        .execute(self.pool())
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_parsed_document_becomes_a_resume() {
    let fixture = Fixture::new().await;
    let new = fixture.parsed(&[item("p", &["React.js", "C++", " sql "])]).await;
    fixture.store_parsed(new.clone()).await;
    let stored = fixture.resume_of("p").await;
    assert_eq!(stored.document, new[0].parsed);
    assert_eq!((stored.source.as_str(), stored.external_id.as_str()), (NUMBERED, "p"));
    assert_eq!((stored.document_id, stored.parser_version), (new[0].document_id, PARSER_VERSION));
    assert_eq!(stored.created_at, stored.updated_at);
    assert_eq!(fixture.skill_keys("p").await, ["react", "c++", "sql"]);
    assert_eq!(resume::find(fixture.pool(), -1, true).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_stored_of_nothing() {
    let fixture = Fixture::new().await;
    fixture.store_parsed(Vec::new()).await;
    assert_eq!(fixture.count_resumes().await, 0);
}

#[tokio::test]
async fn a_resume_keeps_its_id_when_it_changes() {
    let fixture = Fixture::new().await;
    let old = fixture.parsed(&[item("p", &["A"]), item("q", &[])]).await;
    fixture.store_parsed(old).await;
    let before = fixture.resume_of("p").await;
    let new = fixture.parsed(&[item("p", &["B"])]).await;
    fixture.store_parsed(new.clone()).await;
    let after = fixture.resume_of("p").await;
    assert_eq!((after.id, after.created_at), (before.id, before.created_at));
    assert!(after.updated_at > before.updated_at);
    assert_eq!((after.document_id, &after.document), (new[0].document_id, &new[0].parsed));
    assert_eq!(fixture.skill_keys("p").await, ["b"]);
    assert_eq!(fixture.count_resumes().await, 2);
}

#[tokio::test]
async fn the_latest_document_wins_in_whatever_order_they_are_stored() {
    let fixture = Fixture::new().await;
    let versions = fixture.parsed(&["A", "B", "C"].map(|skill| item("p", &[skill]))).await;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        sqlx::query!("delete from resumes").execute(fixture.pool()).await.unwrap();
        for index in order {
            fixture.store_parsed(vec![versions[index].clone()]).await;
        }
        assert_eq!(fixture.skill_keys("p").await, ["c"], "{order:?}");

        sqlx::query!("delete from resumes").execute(fixture.pool()).await.unwrap();
        fixture.store_parsed(order.map(|index| versions[index].clone()).to_vec()).await;
        assert_eq!(fixture.skill_keys("p").await, ["c"], "{order:?} in one batch");
    }
}

#[tokio::test]
async fn of_one_document_the_latest_parser_wins() {
    let fixture = Fixture::new().await;
    let [first, second] = [item("p", &["A"]), item("p", &["B"])];
    let versions = fixture.parsed(&[first, second]).await;
    let reparsed = |like: usize| NewResume { parsed: versions[like].parsed.clone(), ..versions[0].clone() };
    fixture.store_parsed(vec![reparsed(0)]).await;

    fixture.set_parser_version("p", PARSER_VERSION - 1).await;
    fixture.store_parsed(vec![reparsed(1)]).await;
    assert_eq!(fixture.skill_keys("p").await, ["b"], "what an older parser made is replaced");
    assert_eq!(fixture.resume_of("p").await.parser_version, PARSER_VERSION);

    fixture.set_parser_version("p", PARSER_VERSION + 1).await;
    fixture.store_parsed(vec![reparsed(0)]).await;
    assert_eq!(fixture.skill_keys("p").await, ["b"], "what a newer parser made stays");

    // A process of the old version that collects something new: the content counts more than who read it.
    fixture.store_parsed(vec![NewResume { parsed: versions[0].parsed.clone(), ..versions[1].clone() }]).await;
    assert_eq!(fixture.skill_keys("p").await, ["a"]);
}

#[tokio::test]
async fn of_one_parser_what_the_latest_map_made_wins() {
    let fixture = Fixture::new().await;
    let versions = fixture.parsed(&[item("p", &["A"]), item("p", &["B"])]).await;
    let of_first = |like: usize| NewResume { parsed: versions[like].parsed.clone(), ..versions[0].clone() };
    let store = async |map_version: i32, new: NewResume| {
        fixture.store_parsed_by_map(map_version, vec![new]).await;
        fixture.skill_keys("p").await
    };
    assert_eq!(store(1, of_first(0)).await, ["a"]);
    assert_eq!(store(2, of_first(1)).await, ["b"]);
    assert_eq!(store(1, of_first(0)).await, ["b"], "what a newer map made stays");
    fixture.set_parser_version("p", PARSER_VERSION - 1).await;
    assert_eq!(store(1, of_first(0)).await, ["a"], "a newer parser counts more");
    assert_eq!(store(0, versions[1].clone()).await, ["b"], "and newer content most");
}

#[tokio::test]
async fn what_is_there_already_is_not_written_again() {
    let fixture = Fixture::new().await;
    let new = fixture.parsed(&[item("p", &["A"])]).await;
    fixture.store_parsed(new.clone()).await;
    let before = fixture.resume_of("p").await;
    fixture.store_parsed(new).await;
    assert_eq!(fixture.resume_of("p").await, before);
}

#[tokio::test]
async fn sources_do_not_share_their_ids() {
    let fixture = Fixture::new().await;
    let people = [item("p", &["A"])];
    let mut new = fixture.parsed(&people).await;
    new.push(parsed(fixture.insert_from(NEXT_LINK, &people).await[0], &people[0]));
    fixture.store_parsed(new).await;
    assert_eq!(fixture.count_resumes().await, 2);
}

/// Batches with the same people in different orders and versions, all at once: no deadlock, and the latest
/// version of each one stays.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_overlap_do_not_block_each_other() {
    let fixture = Fixture::new().await;
    let mut random = Random(5);
    for round in 0..20 {
        let people: Vec<String> = (0..30).map(|index| format!("{round}-{index}")).collect();
        let mut versions = Vec::new();
        for version in ["A", "B", "C", "D"] {
            let items: Vec<_> = people.iter().map(|id| item(id, &[version])).collect();
            versions.push(fixture.parsed(&items).await);
        }
        random.shuffle(&mut versions);
        let mut batches = JoinSet::new();
        for mut batch in versions {
            random.shuffle(&mut batch);
            let pool = fixture.pool().clone();
            let outcome = Outcome { parsed: batch, failed: Vec::new() };
            batches.spawn(async move {
                let mut tx = pool.begin().await.unwrap();
                let source = source::find(&mut tx, NUMBERED).await.unwrap().unwrap();
                resume::store_reparsed(&mut tx, source.id, 0, &outcome).await.unwrap();
                tx.commit().await.unwrap();
            });
        }
        in_time("all are stored", batches.join_all()).await;
        for person in people {
            assert_eq!(fixture.skill_keys(&person).await, ["d"], "round {round}");
        }
    }
}
