//! The face of JSON Resumes: the documents of `samples/`, varied.

mod template;

use std::sync::LazyLock;

use self::template::{Piece, Section, Template};
use crate::{
    Breakage,
    json::{write_number, write_quoted},
    people::write_skill_names,
    random::{Random, Use},
};

/// The documents that are cycled over; where they come from is told in `samples/README.md`.
const SAMPLES: [&str; 11] = [
    include_str!("../../samples/jsonresume-schema/sample.resume.json"),
    include_str!("../../samples/own/nurse.json"),
    include_str!("../../samples/own/data-scientist.json"),
    include_str!("../../samples/jsonresume-schema/senior-engineer.resume.json"),
    include_str!("../../samples/own/chef.json"),
    include_str!("../../samples/own/designer.json"),
    include_str!("../../samples/jsonresume-schema/new-grad.resume.json"),
    include_str!("../../samples/own/electrician.json"),
    include_str!("../../samples/own/teacher.json"),
    include_str!("../../samples/jsonresume-schema/career-changer.resume.json"),
    include_str!("../../samples/own/professor.json"),
];

// As in people.rs, none of these may need escaping.
const FIRST_NAMES: [&str; 32] = [
    "Ada",
    "Amélie",
    "Björn",
    "Chidi",
    "Dolores",
    "Elif",
    "Fatima",
    "Gustavo",
    "Hana",
    "Igor",
    "Jürgen",
    "Kwame",
    "Łucja",
    "Mateo",
    "Nadia",
    "Olu",
    "Priya",
    "Quentin",
    "Rosa",
    "Søren",
    "Tariq",
    "Uma",
    "Viktor",
    "Wanjiru",
    "Ximena",
    "Yusuf",
    "Zoë",
    "陽菜",
    "Сергей",
    "ليلى",
    "Íñigo",
    "Siobhán",
];
const LAST_NAMES: [&str; 32] = [
    "Abubakar",
    "Bakker",
    "Castillo",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "García",
    "Haddad",
    "Ibrahim",
    "Jansen",
    "Kowalski",
    "Lovelace",
    "Müller",
    "Nguyễn",
    "O’Neill",
    "Papadopoulos",
    "Quispe",
    "Rossi",
    "Suzuki",
    "Tanaka",
    "Ueda",
    "Vasquez",
    "Wang",
    "Xu",
    "Yılmaz",
    "Zhang",
    "Ångström",
    "Große",
    "佐藤",
    "Иванова",
    "van der Berg",
    "d’Angelo",
];

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let parse = |text| Template::parse(text).expect("a test parses every sample");
    SAMPLES.into_iter().map(parse).collect()
});

/// A first and a last name.
pub(crate) fn draw_name(random: &mut Random) -> (&'static str, &'static str) {
    (random.pick(&FIRST_NAMES), random.pick(&LAST_NAMES))
}

/// Writes what follows the id of one JSON Resume document.
///
/// The documents of `samples/` take turns. Name and e-mail address, where the sample has them, and one more
/// entry of `skills` are drawn by seed; the rest is the sample's, without its white space. `broken` replaces
/// `skills` or `work`.
pub(crate) fn write_fields(out: &mut Vec<u8>, seed: u64, index: u64, broken: Option<Breakage>) {
    let template = &TEMPLATES[(index % TEMPLATES.len() as u64) as usize];
    let mut random = Random::new(Use::JsonResume, seed, index);
    let mut broken_fields = BrokenFields::new(broken);
    for (i, section) in template.sections.iter().enumerate() {
        write_key(out, i == 0, &section.key);
        match broken_fields.take(&section.key) {
            Some(value) => out.extend_from_slice(value.as_bytes()),
            None => section.write(out, &mut random, seed, index),
        }
    }
    // A sample that lacks the section is broken all the same.
    for (key, value) in broken_fields.0.into_iter().flatten() {
        write_key(out, false, key);
        out.extend_from_slice(value.as_bytes());
    }
}

/// The broken sections that are not written yet.
struct BrokenFields([Option<(&'static str, &'static str)>; 2]);

impl BrokenFields {
    fn new(broken: Option<Breakage>) -> Self {
        let field = |key, value: Option<&'static str>| value.map(|value| (key, value));
        Self([
            field("skills", broken.and_then(Breakage::skills)),
            field("work", broken.and_then(Breakage::work)),
        ])
    }

    fn take(&mut self, key: &str) -> Option<&'static str> {
        let field = self.0.iter_mut().find(|field| field.is_some_and(|(name, _)| name == key))?;
        field.take().map(|(_, value)| value)
    }
}

impl Section {
    fn write(&self, out: &mut Vec<u8>, random: &mut Random, seed: u64, index: u64) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Name => write_name(out, random),
                Piece::Email => write_email(out, seed, index),
                Piece::SkillEntry => write_skill_entry(out, random),
            }
        }
    }
}

fn write_key(out: &mut Vec<u8>, first: bool, key: &str) {
    if !first {
        out.push(b',');
    }
    write_quoted(out, key);
    out.push(b':');
}

fn write_name(out: &mut Vec<u8>, random: &mut Random) {
    out.push(b'"');
    out.extend_from_slice(random.pick(&FIRST_NAMES).as_bytes());
    out.push(b' ');
    out.extend_from_slice(random.pick(&LAST_NAMES).as_bytes());
    out.push(b'"');
}

/// An address in the domain that RFC 2606 reserves, one a person.
fn write_email(out: &mut Vec<u8>, seed: u64, index: u64) {
    out.extend_from_slice(b"\"person.");
    write_number(out, seed);
    out.push(b'.');
    write_number(out, index);
    out.extend_from_slice(b"@example.com\"");
}

/// An entry with 1 to 5 keywords; the names of groups are what real documents call them.
fn write_skill_entry(out: &mut Vec<u8>, random: &mut Random) {
    out.extend_from_slice(br#"{"name":"#);
    write_quoted(out, random.pick(&["Technology", "Tools", "Other skills", "IT"]));
    out.extend_from_slice(br#","keywords":"#);
    let number = 1 + random.below(5);
    write_skill_names(out, random, number);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;
    use crate::{Face, is_broken, item};

    fn resume(seed: u64, index: u64, errors: bool) -> Value {
        serde_json::from_str(&item(Face::JsonResumes, seed, index, errors)).unwrap()
    }

    #[test]
    fn a_document_is_its_sample_but_for_id_name_email_and_one_skill_entry() {
        for (i, sample) in SAMPLES.iter().enumerate() {
            let expected: Value = serde_json::from_str(sample).unwrap();
            let mut actual = resume(4, i as u64, false);
            assert_eq!(actual.as_object_mut().unwrap().remove("id").unwrap(), format!("4-{i}"));
            for key in ["name", "email"] {
                if let Some(value) = expected["basics"].get(key) {
                    actual["basics"][key] = value.clone();
                }
            }
            if let Some(skills) = actual.get_mut("skills") {
                let extra = skills.as_array_mut().unwrap().pop().unwrap();
                assert!(!extra["keywords"].as_array().unwrap().is_empty());
            }
            assert_eq!(actual, expected);
        }
    }

    #[test]
    fn documents_differ() {
        let all: HashSet<_> = (0..500).map(|index| item(Face::JsonResumes, 1, index, false)).collect();
        assert_eq!(all.len(), 500);
        assert_ne!(resume(1, 0, false)["basics"], resume(2, 0, false)["basics"]);
    }

    #[test]
    fn exactly_the_broken_ones_lack_the_shape() {
        for index in 0..200 {
            let value = resume(9, index, true);
            let list_of_objects = |list: &Value| match list {
                Value::Array(entries) => entries.iter().all(Value::is_object),
                _ => false,
            };
            let fields_fine = value.as_object().is_some_and(|fields| {
                ["skills", "work"].iter().all(|key| fields.get(*key).is_none_or(list_of_objects))
            });
            assert_eq!(value["id"].is_string() && fields_fine, !is_broken(9, index), "{value}");
        }
    }

    #[test]
    fn names_need_no_escaping() {
        for name in FIRST_NAMES.iter().chain(&LAST_NAMES) {
            assert_eq!(serde_json::to_string(name).unwrap(), format!("\"{name}\""));
        }
    }
}
