//! What was odd in a document that could be parsed all the same.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::pointer::Pointer;

/// The most warnings kept of one document, the closing [`WarningCode::MoreWarnings`] not counted.
///
/// A person reads a few; a hostile document could make a million, each larger than the bytes that caused it.
pub const MAX_WARNINGS: usize = 100;

/// One oddity of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What kind of oddity it is.
    pub code: WarningCode,
    /// Where it is in the document, as a JSON pointer (RFC 6901); empty for the whole document.
    pub pointer: String,
    /// What was made of it, in words.
    pub message: String,
}

/// The kinds of oddities, a closed list. The text of a code is a promise, as with [`super::ErrorCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[derive(strum::Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum WarningCode {
    /// The document began with a byte order mark.
    ByteOrderMark,
    /// NUL characters were taken out of a text or a key: Postgres stores none.
    NulRemoved,
    /// Half of a surrogate pair, such as `\ud83d`, stood in a text or a key and was read as U+FFFD.
    LoneSurrogate,
    /// A number overflows a float, or is an integer of more than 64 bits, and was read as text.
    NumberOutOfRange,
    /// A field had an old or foreign name and was read as another.
    RenamedField,
    /// A value of another type than expected was read as one where that is possible, or else left out.
    WrongType,
    /// An entry of a list was null or blank, or an object in which nothing is known, and was left out.
    EmptyEntry,
    /// An entry of a list was a plain text where an object is expected, and was read as its most telling
    /// field.
    PlainTextEntry,
    /// A text for one line was longer than [`super::MAX_LINE_CHARS`] and was cut.
    TextCut,
    /// A date was understood, but was not written as `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    OddDate,
    /// A date was not understood and is kept as given.
    UnclearDate,
    /// An end date said "present" or the like, was blank, or too far away to be meant: there is no end yet.
    OpenEnd,
    /// A date stands for none, such as 0000-00-00, and was left out.
    PlaceholderDate,
    /// A date is no time of which a resume tells, such as 2562 of the Buddhist calendar, and is kept as
    /// given.
    ImplausibleDate,
    /// An end date is before its start date; both are kept.
    EndBeforeStart,
    /// An address does not begin with `http://` or `https://` and was left out.
    OddUrl,
    /// An item of the original shape has no `skills`.
    MissingSkills,
    /// An item of the original shape has no `work_experiences`.
    MissingWorkExperiences,
    /// A skill had no visible character and was left out.
    BlankSkill,
    /// A skill had more than [`crate::skill::MAX_SKILL_CHARS`] characters and was left out.
    LongSkill,
    /// There were more than [`super::MAX_SKILLS`] skills; the rest was left out.
    TooManySkills,
    /// A list had more than [`super::MAX_ENTRIES`] entries; the rest was left out.
    TooManyEntries,
    /// There were more than [`MAX_WARNINGS`] warnings; the message says how many were left out.
    MoreWarnings,
}

impl WarningCode {
    /// The stable text of the code.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Gathers the warnings of one document, at most [`MAX_WARNINGS`] of them.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    list: Vec<Warning>,
    dropped: usize,
}

impl Warnings {
    /// Adds a warning; past the limit it is only counted, and nothing is allocated.
    pub(super) fn push(&mut self, code: WarningCode, at: &Pointer<'_>, message: fmt::Arguments<'_>) {
        if self.list.len() < MAX_WARNINGS {
            self.list.push(Warning { code, pointer: at.render(), message: message.to_string() });
        } else {
            self.dropped += 1;
        }
    }

    /// The warnings in the order they were found.
    pub(super) fn finish(mut self) -> Vec<Warning> {
        if self.dropped > 0 {
            self.list.push(Warning {
                code: WarningCode::MoreWarnings,
                pointer: String::new(),
                message: format!("{} more warnings are not kept", self.dropped),
            });
        }
        self.list
    }
}
