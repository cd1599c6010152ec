/// Where a collection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "collection_state", rename_all = "snake_case")]
pub enum CollectionState {
    /// No page has been fetched yet; it may wait for another collection of its source.
    Pending,
    /// Pages are being fetched or documents parsed.
    Running,
    /// The source refuses calls for now.
    WaitingForSource,
    /// Stopped by a person, to go on later.
    Paused,
    /// Every document was stored and parsed.
    Completed,
    /// Over; some calls or documents failed, and are listed.
    CompletedWithErrors,
    /// Over; not a single call brought anything.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl CollectionState {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithErrors | Self::Failed | Self::Cancelled)
    }
}
