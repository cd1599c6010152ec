//! Skills: what a resume says it knows, as written and in the one form that search compares.
//!
//! `aliases` holds the spellings that mean the same thing; everything else about the canonical form is here.

mod aliases;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// The most characters (Unicode scalar values) that the name of a skill may have.
///
/// What is longer is a sentence that landed in the wrong field. The limit holds for stored skills and for
/// search terms alike, and keeps a key far below the some 2,700 bytes that an entry of a Postgres index can
/// have.
pub const MAX_SKILL_CHARS: usize = 128;

/// One skill of a resume. Serialized as its name: the keys are in a column of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Skill {
    /// The name as the source gave it, without white space around it.
    pub name: String,
    /// The canonical form of the name, see [`canonical_key`]; never empty.
    #[serde(skip)]
    pub key: String,
}

impl Skill {
    /// Makes a skill of a name as given.
    ///
    /// # Errors
    /// [`SkillError::Blank`] when nothing of the name is visible, [`SkillError::TooLong`] when the trimmed
    /// name or its key has more than [`MAX_SKILL_CHARS`] characters (the lower case of a few letters is
    /// longer than they are).
    pub fn new(name: &str) -> Result<Self, SkillError> {
        let name = name.trim();
        let is_long = |text: &str| text.chars().nth(MAX_SKILL_CHARS).is_some();
        if is_long(name) {
            return Err(SkillError::TooLong);
        }
        let key = canonical_key(name);
        if key.is_empty() {
            Err(SkillError::Blank)
        } else if is_long(&key) {
            Err(SkillError::TooLong)
        } else {
            Ok(Self { name: name.to_owned(), key })
        }
    }
}

/// Why a name is not a skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SkillError {
    /// The name has no visible character.
    #[error("the skill is blank")]
    Blank,
    /// The name has more than [`MAX_SKILL_CHARS`] characters.
    #[error("the skill has more than {MAX_SKILL_CHARS} characters")]
    TooLong,
}

/// Gives the canonical form of a skill's name: two names mean the same skill exactly when their keys are
/// equal.
///
/// Case is folded to Unicode lower case, runs of white space (Unicode's, so no-break spaces too) become one
/// space, white space at the ends and invisible characters go, and an alias becomes what it stands for
/// (`ReactJS` and `React.js` give `react`). Signs stay, so that C, C++ and C# stay three things. The key of a
/// key is itself. Empty when the name has no visible character; holds no NUL.
pub fn canonical_key(name: &str) -> String {
    let folded = fold(name);
    match aliases::meaning(&folded) {
        Some(key) => key.to_owned(),
        None => folded,
    }
}

fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut gap = false;
    for c in name.chars() {
        if c.is_whitespace() {
            gap = !folded.is_empty();
        } else if !is_invisible(c) {
            if gap {
                folded.push(' ');
                gap = false;
            }
            folded.extend(c.to_lowercase());
        }
    }
    folded
}

/// Characters that change nothing one can see: they come along when text is copied from a web page or a PDF.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}' // soft hyphen
                | '\u{180E}' // Mongolian vowel separator
                | '\u{200B}'..='\u{200F}' // zero-width space and joiners, direction marks
                | '\u{202A}'..='\u{202E}' // direction embeddings and overrides
                | '\u{2060}'..='\u{2064}' // word joiner, invisible operators
                | '\u{2066}'..='\u{2069}' // direction isolates
                | '\u{FEFF}' // byte order mark
        )
}
