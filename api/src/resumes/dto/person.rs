use poem_openapi::{Object, types::Example};
use resume_core::parsing;

/// A job. Dates are `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, with as much as the document says; or the text as
/// given where it was not understood.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct WorkExperience {
    /// The employer.
    company: Option<String>,
    /// The position held.
    title: Option<String>,
    /// Where the job was.
    location: Option<String>,
    /// The page of the employer.
    url: Option<String>,
    /// When the job began.
    start_date: Option<String>,
    /// When the job ended; absent when it goes on.
    end_date: Option<String>,
    /// What was done.
    description: Option<String>,
    /// Single achievements.
    highlights: Option<Vec<String>>,
}

/// An education; dates as in a job.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub(super) struct Education {
    /// The school or university.
    institution: Option<String>,
    /// The subject.
    area: Option<String>,
    /// The degree or kind of study.
    degree: Option<String>,
    /// The grade, as given.
    score: Option<String>,
    /// When it began.
    start_date: Option<String>,
    /// When it ended; absent when it goes on.
    end_date: Option<String>,
}

impl From<parsing::WorkExperience> for WorkExperience {
    fn from(job: parsing::WorkExperience) -> Self {
        Self {
            company: job.company,
            title: job.title,
            location: job.location,
            url: job.url,
            start_date: job.start_date,
            end_date: job.end_date,
            description: job.description,
            highlights: Some(job.highlights).filter(|list| !list.is_empty()),
        }
    }
}

impl From<parsing::Education> for Education {
    fn from(education: parsing::Education) -> Self {
        Self {
            institution: education.institution,
            area: education.area,
            degree: education.degree,
            score: education.score,
            start_date: education.start_date,
            end_date: education.end_date,
        }
    }
}

impl Example for WorkExperience {
    fn example() -> Self {
        Self {
            company: Some("Initech".to_owned()),
            title: Some("Front-end Developer".to_owned()),
            location: None,
            url: None,
            start_date: Some("2023-05-01".to_owned()),
            end_date: Some("2024-11".to_owned()),
            description: Some("Cut page load from four seconds to one.".to_owned()),
            highlights: None,
        }
    }
}
