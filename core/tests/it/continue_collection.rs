//! Going on with a collection where calls failed.

use resume_core::{
    call::Answer,
    collection::{self, CollectionState, ContinueError, Scope},
    jobs::ContinueCollection,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, in_time, items};

impl Fixture {
    /// Continues a collection; returns how many calls are made, and documents parsed again.
    pub(crate) async fn continue_collection(
        &self,
        id: Uuid,
        scope: Scope,
    ) -> Result<[i64; 2], ContinueError> {
        let mut tx = self.pool().begin().await.unwrap();
        let continued = collection::continue_collection(&mut tx, id, scope).await?;
        tx.commit().await.unwrap();
        self.continue_calls(id).await;
        Ok([continued.calls, continued.documents])
    }

    /// Runs the jobs that give the calls of a continued collection their jobs.
    pub(crate) async fn continue_calls(&self, id: Uuid) {
        let mut done = 0;
        loop {
            let job = sqlx::query!(
                r#"select id as "id!", args as "args!" from jobs
                   where kind = 'continue_collection' and collection_id = $1 and id > $2 order by id limit 1"#,
                id.to_string(),
                done
            );
            let Some(job) = job.fetch_optional(self.pool()).await.unwrap() else { break };
            let args: ContinueCollection = serde_json::from_value(job.args).unwrap();
            let mut tx = self.pool().begin().await.unwrap();
            // As one that has run before is not found again.
            sqlx::query!("delete from queue.live_jobs where id = $1", job.id)
                .execute(&mut *tx)
                .await
                .unwrap();
            collection::continue_portion(&mut tx, &args, job.id).await.unwrap();
            tx.commit().await.unwrap();
            done = job.id;
        }
        self.end_run(id).await;
    }

    pub(crate) async fn refuses(&self, id: Uuid, scope: Scope) -> ContinueError {
        let (rows, before) = (self.rows().await, self.progress(id).await);
        let refused = self.continue_collection(id, scope).await.unwrap_err();
        assert_eq!(self.rows().await, rows);
        assert!(!self.progress(id).await.differs_from(&before));
        refused
    }
}

#[tokio::test]
async fn failed_calls_are_made_again_and_no_others() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.store_items(id, 1, Vec::new()).await;
    fixture.store_items(id, 4, Vec::new()).await;
    fixture.give_up(id, 3, "gone").await;
    fixture.give_up(id, 2, "gone").await;
    let ended = fixture.progress(id).await.collection;
    assert_eq!(ended.state, CollectionState::CompletedWithErrors);

    assert_eq!(fixture.continue_collection(id, Scope::default()).await.unwrap(), [2, 0]);
    let progress = fixture.progress(id).await;
    assert_eq!(
        (progress.collection.state, progress.collection.finished_at),
        (CollectionState::Running, None)
    );
    assert_eq!(progress.collection.started_at, ended.started_at);
    let counts = progress.counts;
    assert_eq!((counts.done, counts.failed_calls, counts.pending(), progress.errors), (2, 0, 2, vec![]));
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 3, 4, 2, 3]);

    fixture.store_items(id, 2, Vec::new()).await;
    fixture.give_up(id, 3, "still gone").await;
    assert_eq!(fixture.state(id).await, CollectionState::CompletedWithErrors);
    assert_eq!(fixture.continue_collection(id, Scope::Calls).await.unwrap(), [1, 0]);
    fixture.store_items(id, 3, Vec::new()).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
    let refused = fixture.refuses(id, Scope::All).await;
    assert!(matches!(refused, ContinueError::NothingFailed(CollectionState::Completed)), "{refused:?}");
}

#[tokio::test]
async fn a_chain_goes_on_behind_the_page_that_failed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(100, NEXT_LINK)).await;
    let next = |page| Answer { next: Some(format!("http://ats.example/{page}")), ..Answer::default() };
    fixture.store(&fixture.page(id, 1).await, &next(2)).await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.state(id).await, CollectionState::CompletedWithErrors);

    assert_eq!(fixture.continue_collection(id, Scope::default()).await.unwrap(), [1, 0]);
    let page = fixture.page(id, 2).await;
    assert_eq!(page.link.as_deref(), Some("http://ats.example/2"));
    fixture.store(&page, &next(3)).await;
    assert_eq!(fixture.state(id).await, CollectionState::Running);
    fixture.store_items(id, 3, Vec::new()).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

#[tokio::test]
async fn there_must_be_something_to_continue() {
    let fixture = Fixture::new().await;
    let unknown = fixture.continue_collection(Uuid::nil(), Scope::default()).await;
    assert!(matches!(unknown, Err(ContinueError::Unknown(id)) if id.is_nil()), "{unknown:?}");

    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let refused = fixture.refuses(id, Scope::default()).await;
    assert!(matches!(refused, ContinueError::NothingFailed(CollectionState::Pending)), "{refused:?}");

    // Documents that failed are no reason to fetch anything again.
    let id = fixture.start(&collection_of(4, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 4)).await;
    fixture.settle(id, 1, 3, 1).await;
    let refused = fixture.refuses(id, Scope::default()).await;
    assert!(
        matches!(refused, ContinueError::NothingFailed(CollectionState::CompletedWithErrors)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn of_two_that_continue_at_once_one_does() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    for page in [1, 2] {
        fixture.give_up(id, page, "gone").await;
    }
    let mut tx = fixture.pool().begin().await.unwrap();
    assert_eq!(collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap().calls, 2);
    let second = tokio::spawn({
        let pool = fixture.pool().clone();
        async move {
            let mut conn = pool.acquire().await.unwrap();
            collection::continue_collection(&mut conn, id, Scope::default()).await
        }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    let second = in_time("the second one ends", second).await.unwrap();
    assert!(matches!(second, Err(ContinueError::NothingFailed(CollectionState::Running))), "{second:?}");
}
