/// How many kinds of error are listed.
pub(crate) const ERRORS_MAX: i64 = 20;

/// How often an error happened, and one place where it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCount {
    /// Its stable code.
    pub code: String,
    /// How often.
    pub count: i64,
    /// One of them, for people.
    pub sample: String,
}
