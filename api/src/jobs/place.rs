//! Where a list of jobs, or a change of many, goes on.

use resume_queue::{JobId, Remaining};

use crate::cursor::{Numbered, Position};

/// Below this job, in the list.
pub(super) type Below = Numbered<3>;

impl Position for Remaining {
    const KIND: u8 = 5;

    fn to_bytes(&self) -> Vec<u8> {
        [self.after.to_bytes(), self.last.to_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (after, last) = bytes.split_at_checked(size_of::<JobId>())?;
        Some(Self { after: JobId::from_bytes(after)?, last: JobId::from_bytes(last)? })
    }
}
