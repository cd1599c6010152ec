use std::fmt;

/// The most characters of a [`Fault::detail`]: a text that is quoted in it can be long.
const MAX_DETAIL_CHARS: usize = 400;

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON Pointer into the definition.
    pub at: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// All that is wrong with a definition; at least one fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.detail)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(index, fault)| write!(f, "{}{fault}", if index == 0 { "" } else { "; " }))
    }
}

/// Gathers faults.
#[derive(Default)]
pub(super) struct FaultList(Vec<Fault>);

impl FaultList {
    /// Whether something is wrong in this field of the definition.
    pub(super) fn has_in(&self, field: &str) -> bool {
        self.0.iter().any(|fault| fault.at.split('/').nth(1) == Some(field))
    }

    /// Fails with the faults, if there are any.
    pub(super) fn into_result(self) -> Result<(), Faults> {
        if self.0.is_empty() { Ok(()) } else { Err(Faults(self.0)) }
    }

    pub(super) fn add(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL_CHARS) {
            detail.truncate(end);
        }
        self.0.push(Fault { at: at.into(), detail });
    }

    /// Adds a fault when there is one.
    pub(super) fn add_some(&mut self, at: impl Into<String>, detail: Option<impl Into<String>>) {
        if let Some(detail) = detail {
            self.add(at, detail);
        }
    }

    /// Adds a fault at each of the places where something is, which does not belong there.
    pub(super) fn refuse(&mut self, places: &[(&str, bool)], why: &str) {
        for (at, _) in places.iter().filter(|(_, is_there)| *is_there) {
            self.add(*at, why);
        }
    }

    /// Says whether there are not too many, so that what comes in thousands need not be looked at.
    pub(super) fn check_length(&mut self, at: &str, found: usize, most: usize, what: &str) -> bool {
        if found > most {
            self.add(at, format!("{found} {what}, the most is {most}"));
        }
        found <= most
    }
}
