/// One of the two APIs that an [`Ats`](crate::Ats) offers. Both take the same parameters and wrap their items
/// in the same envelope, `{"results": [..], "next": url or null}`; they share one limit and one set of
/// counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Face {
    /// Invented people: `{"id", "skills": [], "work_experiences": []}`.
    TestData,
    /// JSON Resume documents (<https://jsonresume.org>, schema v1.0.0) with one more key, `id`.
    JsonResumes,
}

impl Face {
    /// Every face, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::TestData, Self::JsonResumes];

    /// The path this face is served under, without host and without trailing slash.
    pub const fn path(self) -> &'static str {
        match self {
            Self::TestData => "/api/v1/test-data",
            Self::JsonResumes => "/api/v1/json-resumes",
        }
    }
}
