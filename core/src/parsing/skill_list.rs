//! The skills of one resume, each once.

use std::collections::HashSet;

use super::MAX_SKILLS;
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};
use crate::skill::{MAX_SKILL_CHARS, Skill, SkillError};

/// Gathers skills in order; of those with the same key the first stays.
#[derive(Default)]
pub(super) struct SkillList {
    skills: Vec<Skill>,
    keys: HashSet<String>,
    is_full: bool,
}

impl SkillList {
    /// Adds a skill by its name; one that is blank, too long or past [`MAX_SKILLS`] is left out with a warning.
    pub(super) fn add(&mut self, name: &str, at: &Pointer<'_>, warnings: &mut Warnings) {
        if self.is_full {
            return;
        }
        match Skill::new(name) {
            Err(SkillError::Blank) => {
                warnings.push(WarningCode::BlankSkill, at, format_args!("a blank skill, left out"));
            }
            Err(SkillError::TooLong) => {
                let message = format_args!("longer than {MAX_SKILL_CHARS} characters, left out");
                warnings.push(WarningCode::LongSkill, at, message);
            }
            Ok(skill) if self.keys.contains(&skill.key) => {}
            Ok(_) if self.skills.len() == MAX_SKILLS => {
                self.is_full = true;
                let message =
                    format_args!("more than {MAX_SKILLS} skills, this and those after it are left out");
                warnings.push(WarningCode::TooManySkills, at, message);
            }
            Ok(skill) => {
                self.keys.insert(skill.key.clone());
                self.skills.push(skill);
            }
        }
    }

    /// The skills in the order they were added.
    pub(super) fn finish(self) -> Vec<Skill> {
        self.skills
    }
}
