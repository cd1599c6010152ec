//! Lists that behave like those of real applicant tracking systems: path, credential, paging, limit, headers,
//! items and errors. Each file says which of its facts are unconfirmed.
//!
//! `description.rs` is what an API file fills in, `desk.rs` what it works with; `slice.rs` is the list behind
//! every way of paging, and `state.rs` takes the calls.

mod ashby;
mod breezy;
mod call;
mod description;
mod desk;
mod github;
mod greenhouse_v1;
mod greenhouse_v3;
mod lever;
mod merge;
mod person;
mod recruitee;
mod slice;
mod smartrecruiters;
mod state;
mod teamtailor;
mod workable;

pub use call::Call;
pub(crate) use state::ApiState;
pub use state::ApiStats;

use description::Description;

/// A real API whose behaviour is served under `/mock/<name>/`. Each has a limit, faults and counters of its
/// own, and the same people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Greenhouse Harvest v1: `Link` headers.
    GreenhouseV1,
    /// Lever: a token in the body, given back as a parameter.
    Lever,
    /// Ashby: a token in the body, given back in the body of a `POST`.
    Ashby,
    /// Workable: the next address in the body.
    Workable,
    /// Recruitee: offsets.
    Recruitee,
    /// `SmartRecruiters`: a token in the body, and the number of all.
    SmartRecruiters,
    /// Teamtailor: page numbers and the next address in the body, after JSON:API.
    Teamtailor,
    /// Merge: a token in the body, null at the end; two credentials.
    Merge,
    /// GitHub users: `Link` headers; 403 over the limit.
    Github,
    /// Greenhouse Harvest v3: `Link` headers with a cursor; access tokens.
    GreenhouseV3,
    /// Breezy: one list for each position.
    Breezy,
}

impl Api {
    /// Every API.
    pub const ALL: [Self; 11] = [
        Self::GreenhouseV1,
        Self::Lever,
        Self::Ashby,
        Self::Workable,
        Self::Recruitee,
        Self::SmartRecruiters,
        Self::Teamtailor,
        Self::Merge,
        Self::Github,
        Self::GreenhouseV3,
        Self::Breezy,
    ];

    /// The name in the path.
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The id that this API gives a person; `index` counts from 0.
    pub fn external_id(self, index: u64) -> String {
        (self.description().external_id)(index)
    }

    fn description(self) -> &'static Description {
        match self {
            Self::GreenhouseV1 => &greenhouse_v1::API,
            Self::Lever => &lever::API,
            Self::Ashby => &ashby::API,
            Self::Workable => &workable::API,
            Self::Recruitee => &recruitee::API,
            Self::SmartRecruiters => &smartrecruiters::API,
            Self::Teamtailor => &teamtailor::API,
            Self::Merge => &merge::API,
            Self::Github => &github::API,
            Self::GreenhouseV3 => &greenhouse_v3::API,
            Self::Breezy => &breezy::API,
        }
    }
}
