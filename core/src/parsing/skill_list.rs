//! The skills of one resume, each once.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::entry::wrong_type;
use super::limits::MAX_SKILLS;
use super::pointer::Pointer;
use super::warning::{WarningCode, Warnings};
use crate::skill::{MAX_SKILL_CHARS, Skill, SkillError};

/// Reads a list of skills: texts, or objects with a `name` and `keywords`, as JSON Resume groups them.
///
/// A text is taken apart, `React; SQL, Go`, with a warning if `is_text_odd`, and an object is a list of
/// one. What cannot be read is left out with a warning.
pub(super) fn read(
    section: Option<Value>,
    is_text_odd: bool,
    at: &Pointer<'_>,
    warnings: &mut Warnings,
) -> Vec<Skill> {
    let mut skills = SkillList::default();
    match section {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => {
            for (index, value) in list.into_iter().enumerate() {
                skills.add_entry(value, &at.index(index), warnings);
            }
        }
        Some(Value::String(text)) => {
            if is_text_odd {
                warnings.push(WarningCode::WrongType, at, format_args!("a text, taken apart"));
            }
            skills.add_text(&text, at, warnings);
        }
        Some(other) => {
            if other.is_object() {
                warnings.push(WarningCode::WrongType, at, format_args!("an object, read as a list of one"));
            }
            skills.add_entry(other, at, warnings);
        }
    }
    skills.skills
}

/// Gathers skills in order; of those with the same key the first stays.
#[derive(Default)]
struct SkillList {
    skills: Vec<Skill>,
    keys: HashSet<String>,
    is_full: bool,
}

impl SkillList {
    /// Adds a skill by its name; one that is blank, too long or past [`MAX_SKILLS`] is left out with a
    /// warning.
    fn add(&mut self, name: &str, at: &Pointer<'_>, warnings: &mut Warnings) {
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

    /// Adds the skills between separators.
    fn add_text(&mut self, text: &str, at: &Pointer<'_>, warnings: &mut Warnings) {
        let names = text.split([',', ';', '|', '\n', '\r', '\u{2022}']).map(str::trim);
        names.filter(|name| !name.is_empty()).for_each(|name| self.add(name, at, warnings));
    }

    /// Adds an entry of a list.
    fn add_entry(&mut self, entry: Value, at: &Pointer<'_>, warnings: &mut Warnings) {
        match entry {
            Value::String(name) => self.add(&name, at, warnings),
            Value::Null => {
                warnings.push(WarningCode::EmptyEntry, at, format_args!("nothing in it, left out"))
            }
            Value::Object(group) => self.add_group(group, at, warnings),
            other => wrong_type(&other, "a text", at, warnings),
        }
    }

    fn add_group(&mut self, mut group: Map<String, Value>, at: &Pointer<'_>, warnings: &mut Warnings) {
        let (name, keywords) = (group.remove("name"), group.remove("keywords"));
        if name.is_none() && keywords.is_none() {
            let message = format_args!("an object without `name` and `keywords`: left out");
            return warnings.push(WarningCode::WrongType, at, message);
        }
        match name {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name.is_empty() && keywords.is_some() => {}
            Some(Value::String(name)) => self.add(&name, &at.key("name"), warnings),
            Some(other) => wrong_type(&other, "a text", &at.key("name"), warnings),
        }
        let at = at.key("keywords");
        match keywords {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => {
                for (index, keyword) in list.into_iter().enumerate() {
                    match keyword {
                        Value::String(name) => self.add(&name, &at.index(index), warnings),
                        other => wrong_type(&other, "a text", &at.index(index), warnings),
                    }
                }
            }
            Some(Value::String(text)) => {
                warnings.push(WarningCode::WrongType, &at, format_args!("a text, taken apart"));
                self.add_text(&text, &at, warnings);
            }
            Some(other) => wrong_type(&other, "a list of texts", &at, warnings),
        }
    }
}
