use std::borrow::Cow;

use poem_openapi::{
    Enum,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromParameter, ParseResult, Type},
};
use resume_queue::JobState;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JobState", rename_all = "snake_case")]
pub(in crate::jobs) enum State {
    /// Waits for a worker.
    Available,
    /// Waits for its time.
    Scheduled,
    /// A worker is at it.
    Running,
    /// Has failed and waits for its next attempt.
    Retryable,
    /// Ended well.
    Completed,
    /// Ended by request.
    Cancelled,
    /// Given up: a dead letter.
    Discarded,
}

impl From<JobState> for State {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Available => Self::Available,
            JobState::Scheduled => Self::Scheduled,
            JobState::Running => Self::Running,
            JobState::Retryable => Self::Retryable,
            JobState::Completed => Self::Completed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Discarded => Self::Discarded,
        }
    }
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Available => Self::Available,
            State::Scheduled => Self::Scheduled,
            State::Running => Self::Running,
            State::Retryable => Self::Retryable,
            State::Completed => Self::Completed,
            State::Cancelled => Self::Cancelled,
            State::Discarded => Self::Discarded,
        }
    }
}

/// The states' names, for people.
pub(in crate::jobs) fn names(states: &[JobState]) -> String {
    states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ")
}

/// States in a query, separated by commas; at least one.
#[derive(Debug)]
pub(in crate::jobs) struct StateList(pub(in crate::jobs) Vec<JobState>);

impl Type for StateList {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "list_of_states".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            items: Some(Box::new(State::schema_ref())),
            min_items: Some(1),
            ..MetaSchema::new("array")
        }))
    }

    fn register(registry: &mut Registry) {
        State::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromParameter for StateList {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        Self::parse_from_parameters([text])
    }

    fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(lists: I) -> ParseResult<Self> {
        let mut states = Vec::new();
        for list in lists {
            for name in list.as_ref().split(',') {
                states.push(name.trim().parse().map_err(ParseError::custom)?);
            }
        }
        Ok(Self(states))
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn states_go_by_the_names_of_the_queue() {
        for state in JobState::ALL {
            assert_eq!(State::from(state).to_json(), Some(state.as_str().into()));
            assert_eq!(JobState::from(State::from(state)), state);
        }
    }
}
