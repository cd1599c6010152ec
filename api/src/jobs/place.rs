//! Where a list of jobs, or a change of many, goes on.

use resume_queue::JobId;

use crate::cursor::Position;

/// Below this job, in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Below(pub(super) JobId);

/// Above this job, in a change of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Above(pub(super) JobId);

impl Position for Below {
    const KIND: u8 = 3;

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        JobId::from_bytes(bytes).map(Self)
    }
}

impl Position for Above {
    const KIND: u8 = 4;

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        JobId::from_bytes(bytes).map(Self)
    }
}
