use std::{error::Error, time::Duration};

use async_trait::async_trait;
use resume_core::source::tokens::SharedToken;

/// Why tokens cannot be shared for now.
pub type NotShared = Box<dyn Error + Send + Sync>;

/// Where the processes of a fleet share the tokens that they are given. They come sealed: whoever keeps them
/// cannot read them.
///
/// A proof is named by its source and its place in `auth`.
#[async_trait]
pub trait FleetTokens: Send + Sync {
    /// Returns the newest token of a proof, if one is kept that is still good.
    ///
    /// # Errors
    /// When whatever keeps it cannot be asked.
    async fn newest(&self, source: &str, proof: usize) -> Result<Option<SharedToken>, NotShared>;

    /// Waits until no other process fetches a token of the source, and keeps them from it until the hold is
    /// dropped, or the process dies. Returns the newest token of the proof, too, as it is then.
    ///
    /// # Errors
    /// As [`newest`](Self::newest).
    async fn hold(
        &self,
        source: &str,
        proof: usize,
    ) -> Result<(Option<SharedToken>, Box<dyn Hold>), NotShared>;
}

/// The right to fetch the next token of a proof.
#[async_trait]
pub trait Hold: Send {
    /// Keeps a token as the newest of the proof, good for this long, and ends the hold.
    ///
    /// # Errors
    /// As [`FleetTokens::newest`]; nothing was kept then.
    async fn replace(self: Box<Self>, sealed: &[u8], good_for: Duration) -> Result<(), NotShared>;
}
