//! Where a list of jobs, or a change of many, goes on.

use resume_queue::{JobId, Remaining};

use crate::cursor::Position;

/// Below this job, in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Below(pub(super) JobId);

impl Position for Below {
    const KIND: u8 = 3;

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        JobId::from_bytes(bytes).map(Self)
    }
}

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
