//! The brake: a run that misses many people hides nobody unless somebody confirms it.

use resume_core::{
    call::Answer,
    collection::{CollectionState, Finishing},
    completeness::{self, ConfirmError},
    jobs::FinishCollection,
    source::{
        self,
        definition::{Definition, Deleted, DeletedPolicy, Paging},
    },
};
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of, item};

const SOURCE: &str = "braked";

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let mut definition = Definition::original(SOURCE, "http://ats.example", "/people", 30);
    definition.list.params.clear();
    definition.list.paging = Paging::NextUrl { at: "/next".to_owned(), total: None };
    definition.list.deleted = Some(Deleted { missing: Some(DeletedPolicy::Hide), ..Deleted::default() });
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    fixture
}

impl Fixture {
    /// A full run that sees these people.
    async fn sees(&self, people: std::ops::Range<u32>) -> Uuid {
        let id = self.start(&collection_of(1000, SOURCE)).await;
        let items = people.map(|number| item(&format!("p{number}"), &["SQL"])).collect();
        self.store(&self.page(id, 1).await, &Answer { items, ..Answer::default() }).await.unwrap();
        self.parse_all(id).await;
        assert!(self.state(id).await.is_over());
        id
    }

    async fn shown(&self) -> i64 {
        let shown =
            sqlx::query_scalar!(r#"select count(*) as "shown!" from resumes where hidden_at is null"#);
        shown.fetch_one(self.pool()).await.unwrap()
    }

    async fn confirm(&self, id: Uuid) -> Result<(), ConfirmError> {
        let mut tx = self.pool().begin().await.unwrap();
        completeness::confirm_hiding(&mut tx, id).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    async fn codes(&self, id: Uuid) -> Vec<(String, i64)> {
        self.progress(id).await.errors.into_iter().map(|error| (error.code, error.count)).collect()
    }
}

#[tokio::test]
async fn a_run_that_misses_most_people_hides_them_when_somebody_has_confirmed_it() {
    let fixture = fixture().await;
    let first = fixture.sees(0..100).await;
    let id = fixture.sees(0..1).await;
    assert_eq!(fixture.shown().await, 100);
    assert_eq!(fixture.codes(id).await, [("too_many_missing".to_owned(), 99)]);
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!(progress.is_complete, Some(false));

    assert!(matches!(fixture.confirm(first).await, Err(ConfirmError::NothingHeldBack)));
    let unknown = Uuid::now_v7();
    assert!(matches!(fixture.confirm(unknown).await, Err(ConfirmError::Unknown(id)) if id == unknown));
    fixture.confirm(id).await.unwrap();
    assert!(matches!(fixture.confirm(id).await, Err(ConfirmError::NothingHeldBack)), "once");
    let job = FinishCollection { collection_id: id, run: 1, sweeps: 0 };
    assert_eq!(fixture.finish_as(&job).await, Finishing::Over);
    assert_eq!((fixture.shown().await, fixture.codes(id).await), (1, vec![]));
}

/// Not more than a tenth of all, or than twenty.
#[tokio::test]
async fn a_few_are_hidden_without_asking() {
    for (before, after, shown) in [(15, 5, 5), (25, 5, 5), (26, 5, 26), (250, 225, 225), (250, 224, 250)] {
        let fixture = fixture().await;
        fixture.sees(0..before).await;
        let id = fixture.sees(0..after).await;
        assert_eq!(fixture.shown().await, shown, "{before} before, {after} after");
        assert_eq!(fixture.codes(id).await.len(), usize::from(shown == i64::from(before)));
    }
}

/// They are back: what an older run would hide is of no interest any more.
#[tokio::test]
async fn what_a_later_run_has_seen_is_not_hidden_by_an_older_one() {
    let fixture = fixture().await;
    fixture.sees(0..100).await;
    let id = fixture.sees(0..1).await;
    fixture.sees(0..100).await;
    assert!(matches!(fixture.confirm(id).await, Err(ConfirmError::NothingHeldBack)));
    completeness::hide_missing(fixture.pool(), id).await.unwrap();
    assert_eq!(fixture.shown().await, 100);
}
