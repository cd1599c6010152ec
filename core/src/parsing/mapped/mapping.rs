use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where in an item the fields of a resume are: a `JMESPath` expression for each, as in
/// <https://jmespath.org>. A field whose expression finds nothing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mapping {
    /// The person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the person is, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// What the person says of themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the person lives: a text, or an object with `city`, `region` and `country`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The skills: a list of texts, or one text with commas, semicolons, bars or line ends between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<String>,
    /// The jobs: a list of objects with `company`, `title`, `start_date`, `end_date`, `description`,
    /// `location`, `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_experiences: Option<String>,
    /// The educations: a list of objects with `institution`, `area`, `degree`, `score`, `start_date`,
    /// `end_date`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub educations: Option<String>,
}

impl Mapping {
    /// The expressions, each with the name of its field.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("name", &self.name),
            ("headline", &self.headline),
            ("summary", &self.summary),
            ("email", &self.email),
            ("url", &self.url),
            ("location", &self.location),
            ("skills", &self.skills),
            ("work_experiences", &self.work_experiences),
            ("educations", &self.educations),
        ];
        fields.into_iter().filter_map(|(name, expression)| Some((name, expression.as_deref()?)))
    }
}
