use crate::random::{Random, Use};

/// One person in this many is broken when errors are asked for.
const BLOCK: u64 = 5;

/// How an item is broken: without its id or as a text it fails, and a broken section costs itself. In the
/// face of JSON Resumes, `work` stands for `work_experiences`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breakage {
    /// There is no key `id`.
    IdMissing,
    /// `"id": null`.
    IdNull,
    /// `"skills": null`.
    SkillsNull,
    /// `"skills": "React, SQL"`: a string instead of a list.
    SkillsString,
    /// `"skills": [17, {"unexpected": ["nested"]}]`: a list of the wrong types.
    SkillsWrongTypes,
    /// `"work_experiences": {"data": {"jobs": {..}}}`: a nested blob instead of a list.
    WorkBlob,
    /// `"work_experiences": "see attached file"`.
    WorkString,
    /// The item itself is a string, not an object.
    NotAnObject,
}

impl Breakage {
    /// Every way, in the order they take turns in.
    pub const ALL: [Self; 8] = [
        Self::IdMissing,
        Self::IdNull,
        Self::SkillsNull,
        Self::SkillsString,
        Self::SkillsWrongTypes,
        Self::WorkBlob,
        Self::WorkString,
        Self::NotAnObject,
    ];

    /// The broken value of the skills, if this is what is broken.
    pub(crate) fn skills(self) -> Option<&'static str> {
        match self {
            Self::SkillsNull => Some("null"),
            Self::SkillsString => Some(r#""React, SQL""#),
            Self::SkillsWrongTypes => Some(r#"[17,{"unexpected":["nested"]}]"#),
            _ => None,
        }
    }

    /// The broken value of the work experiences, if this is what is broken.
    pub(crate) fn work(self) -> Option<&'static str> {
        match self {
            Self::WorkBlob => Some(r#"{"data":{"jobs":{"0":{"company":{"name":["Initech"]}}}}}"#),
            Self::WorkString => Some(r#""see attached file""#),
            _ => None,
        }
    }
}

/// How the person is broken when errors are asked for; `None` for the four in five who are whole.
///
/// Of every five people in a row (0 to 4, 5 to 9, ..) exactly one is broken, at a place drawn by seed, and
/// each five uses the next of [`Breakage::ALL`]: 40 people show every way, and `count` people hold `count /
/// 5` broken ones, give or take one.
pub fn breakage(seed: u64, index: u64) -> Option<Breakage> {
    let block = index / BLOCK;
    let place = Random::new(Use::Breakage, seed, block).below(BLOCK as u32);
    let turn = (block % Breakage::ALL.len() as u64) as usize;
    (index % BLOCK == u64::from(place)).then_some(Breakage::ALL[turn])
}

/// Whether the person is broken when errors are asked for; the same in both faces.
pub fn is_broken(seed: u64, index: u64) -> bool {
    breakage(seed, index).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_five_is_broken_and_forty_people_show_every_way() {
        for seed in [0, 1, 99, u64::MAX] {
            let broken: Vec<_> = (0..40).filter_map(|index| breakage(seed, index)).collect();
            assert_eq!(broken, Breakage::ALL);
            assert_eq!((0..10_000).filter(|&index| is_broken(seed, index)).count(), 2_000);
        }
    }

    #[test]
    fn the_seed_moves_the_broken_ones() {
        let broken = |seed| (0..100).filter(|&index| is_broken(seed, index)).collect::<Vec<_>>();
        assert_ne!(broken(1), broken(2));
    }

    #[test]
    fn broken_values_are_valid_json() {
        for way in Breakage::ALL {
            for value in way.skills().into_iter().chain(way.work()) {
                serde_json::from_str::<serde_json::Value>(value).unwrap();
            }
        }
    }
}
