//! The shapes that raw documents have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// Which shape a raw document has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[derive(strum::Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Format {
    /// An item of the original service's external API: `{"id", "skills": [..], "work_experiences": [..]}`.
    #[default]
    Profile,
    /// JSON Resume, schema v1.0.0 and what is found in the wild under its name, with an `id` added:
    /// <https://jsonresume.org/schema>.
    JsonResume,
    /// An item of any shape. The `map` of its source's definition says where in it the fields of a resume
    /// are.
    Mapped,
}

impl Format {
    /// The stable name of the format, the same as in the Postgres enum.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
