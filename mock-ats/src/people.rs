use crate::{
    Breakage,
    json::{write_number, write_quoted},
    random::{Random, Use},
    skills::{DRAW_COUNT, SKILLS, drawn},
};

/// The current month of this world, in months since year 0. Fixed: a clock would change people from day to
/// day.
const THIS_MONTH: u32 = 2026 * 12 + 6;

// Every text below is written between quotes as it is: none may need escaping in JSON (a test sees to it).
const COMPANIES: [&str; 32] = [
    "Initech",
    "Globex",
    "Umbrella Labs",
    "Stark Industries",
    "Wayne Enterprises",
    "Acme Corp",
    "Hooli",
    "Pied Piper",
    "Vandelay Imports",
    "Dunder Mifflin",
    "Cyberdyne",
    "Tyrell & Co",
    "Soylent Foods",
    "Massive Dynamic",
    "Aperture Science",
    "Black Mesa",
    "Oscorp",
    "Wonka Industries",
    "Gringotts Bank",
    "Monsters, Inc.",
    "Bluth Company",
    "Sterling Cooper",
    "Los Pollos Hermanos",
    "Prestige Worldwide",
    "Nakatomi Trading",
    "Weyland-Yutani",
    "Zorin Énergie",
    "Müller & Söhne",
    "Águila Seguros",
    "Północ Software",
    "Öresund Data",
    "東京データ株式会社",
];
const TITLES: [&str; 28] = [
    "Software Engineer",
    "Senior Software Engineer",
    "Staff Engineer",
    "Junior Developer",
    "Backend Developer",
    "Front-end Developer",
    "Full Stack Developer",
    "Data Engineer",
    "Data Analyst",
    "Data Scientist",
    "Machine Learning Engineer",
    "DevOps Engineer",
    "Site Reliability Engineer",
    "Database Administrator",
    "Mobile Developer",
    "QA Engineer",
    "Engineering Manager",
    "Product Manager",
    "Project Manager",
    "Scrum Master",
    "UX Designer",
    "Business Analyst",
    "Accountant",
    "Consultant",
    "Technical Writer",
    "Support Engineer",
    "Nurse",
    "Teacher",
];
const DESCRIPTIONS: [&str; 16] = [
    "Built and ran the billing service.",
    "Moved a monolith into services, one table at a time.",
    "Cut page load from four seconds to one.",
    "Led a team of five.",
    "Kept the pager quiet.",
    "Wrote the reports that the board reads.",
    "Brought test coverage from 20% to 80%.",
    "Trained new colleagues.",
    "Designed the onboarding flow.",
    "Owned the data warehouse and its nightly loads.",
    "Shipped the first mobile app.",
    "Answered customers and fixed what they found.",
    "Introduced continuous delivery.",
    "Planned releases with three departments.",
    "Réécriture du moteur de recherche.",
    "Automated what was done by hand.",
];

/// Writes what follows the id of an invented person: `"skills":[],"work_experiences":[]`.
///
/// Skills are 2 to 8 names, none twice; jobs are 0 to 5, newest first, without overlap, with dates as
/// `YYYY-MM-DD` and a null `end_date` for the current one. `broken` replaces one of the two.
pub(crate) fn write_fields(out: &mut Vec<u8>, seed: u64, index: u64, broken: Option<Breakage>) {
    let mut random = Random::new(Use::Person, seed, index);
    out.extend_from_slice(br#""skills":"#);
    match broken.and_then(Breakage::skills) {
        Some(value) => out.extend_from_slice(value.as_bytes()),
        None => write_skills(out, &mut random),
    }
    out.extend_from_slice(br#","work_experiences":"#);
    match broken.and_then(Breakage::work) {
        Some(value) => out.extend_from_slice(value.as_bytes()),
        None => write_work(out, &mut random),
    }
}

/// Writes a list of 2 to 8 different skill names.
fn write_skills(out: &mut Vec<u8>, random: &mut Random) {
    let number = 2 + random.below(7);
    write_skill_names(out, random, number);
}

/// Writes a list of `number` different skill names, common ones more often. `number` must not exceed the
/// list.
pub(crate) fn write_skill_names(out: &mut Vec<u8>, random: &mut Random, number: u32) {
    let mut taken = 0_u128;
    out.push(b'[');
    for i in 0..number {
        let mut at = drawn(random.below(DRAW_COUNT));
        // Walking on from a name already taken ends for certain; drawing again would only almost certainly.
        while taken & (1 << at) != 0 {
            at = (at + 1) % SKILLS.len();
        }
        taken |= 1 << at;
        if i > 0 {
            out.push(b',');
        }
        write_quoted(out, SKILLS[at].0);
    }
    out.push(b']');
}

/// Writes 0 to 5 jobs. Walks back in time from this month; every other person has no current job.
fn write_work(out: &mut Vec<u8>, random: &mut Random) {
    let number = random.below(6);
    let mut current = random.below(2) == 0;
    let mut end = THIS_MONTH - if current { 0 } else { 1 + random.below(24) };
    out.push(b'[');
    for i in 0..number {
        let start = end - (3 + random.below(60));
        out.extend_from_slice(if i == 0 { br#"{"company":"# } else { br#",{"company":"# });
        write_quoted(out, random.pick(&COMPANIES));
        out.extend_from_slice(br#","title":"#);
        write_quoted(out, random.pick(&TITLES));
        out.extend_from_slice(br#","start_date":"#);
        write_month(out, start);
        out.extend_from_slice(br#","end_date":"#);
        if current {
            out.extend_from_slice(b"null")
        } else {
            write_month(out, end)
        }
        out.extend_from_slice(br#","description":"#);
        write_quoted(out, random.pick(&DESCRIPTIONS));
        out.push(b'}');
        current = false;
        end = start - random.below(6);
    }
    out.push(b']');
}

/// Writes the first day of a month, `"2024-07-01"`.
fn write_month(out: &mut Vec<u8>, months: u32) {
    let month = months % 12 + 1;
    out.push(b'"');
    write_number(out, (months / 12).into());
    out.extend_from_slice(&[b'-', b'0' + (month / 10) as u8, b'0' + (month % 10) as u8]);
    out.extend_from_slice(b"-01\"");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;
    use crate::{Face, is_broken, item};

    fn person(seed: u64, index: u64) -> Value {
        serde_json::from_str(&item(Face::TestData, seed, index, false)).unwrap()
    }

    /// These bytes are a promise: stored collections and other crates' tests name people by seed and index.
    #[test]
    fn people_stay_who_they_are() {
        let expected = concat!(
            r#"{"id":"0-0","skills":["Postgres","Node.js","HTML","Ruby"],"work_experiences":["#,
            r#"{"company":"Aperture Science","title":"Data Analyst","start_date":"2025-04-01","end_date":null,"#,
            r#""description":"Introduced continuous delivery."},"#,
            r#"{"company":"Massive Dynamic","title":"Front-end Developer","start_date":"2023-05-01","#,
            r#""end_date":"2024-11-01","description":"Cut page load from four seconds to one."}]}"#,
        );
        assert_eq!(item(Face::TestData, 0, 0, false), expected);
        let people: String = (0..1_000).map(|index| item(Face::TestData, 7, index, true)).collect();
        // FNV-1a, 64 bits: enough to notice a change.
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        assert_eq!(people.bytes().fold(0xcbf2_9ce4_8422_2325, step), 17_452_717_219_547_059_179);
    }

    #[test]
    fn people_have_the_documented_shape() {
        let mut jobs_seen = HashSet::new();
        for index in 0..2_000 {
            let person = person(3, index);
            assert_eq!(person["id"], format!("3-{index}"));
            let skills = person["skills"].as_array().unwrap();
            assert!((2..=8).contains(&skills.len()), "{person}");
            assert_eq!(skills.iter().collect::<HashSet<_>>().len(), skills.len(), "{person}");
            let jobs = person["work_experiences"].as_array().unwrap();
            jobs_seen.insert(jobs.len());
            for (i, job) in jobs.iter().enumerate() {
                let start = job["start_date"].as_str().unwrap();
                assert_eq!(start.len(), "2024-07-01".len());
                assert!(job["end_date"].is_null() && i == 0 || job["end_date"].as_str().unwrap() > start);
            }
        }
        assert_eq!(jobs_seen, HashSet::from([0, 1, 2, 3, 4, 5]));
    }

    #[test]
    fn common_skills_are_common_and_spelt_in_several_ways() {
        let holders = |skill: &str| {
            (0..2_000)
                .filter(|&i| person(0, i)["skills"].as_array().unwrap().iter().any(|s| s == skill))
                .count()
        };
        assert!(holders("Python") > 10 * holders("dbt"));
        assert!((200..600).contains(&holders("React")), "{}", holders("React"));
        assert!(holders("ReactJS") > 20 && holders("React.js") > 20);
    }

    #[test]
    fn texts_need_no_escaping() {
        for text in COMPANIES.iter().chain(&TITLES).chain(&DESCRIPTIONS) {
            assert_eq!(serde_json::to_string(text).unwrap(), format!("\"{text}\""));
        }
    }

    #[test]
    fn exactly_the_broken_ones_lack_the_shape() {
        for index in 0..200 {
            let item = item(Face::TestData, 9, index, true);
            let value: Value = serde_json::from_str(&item).unwrap();
            let whole = value["id"].is_string()
                && value["skills"].as_array().is_some_and(|skills| skills.iter().all(Value::is_string))
                && value["work_experiences"].is_array();
            assert_eq!(whole, !is_broken(9, index), "{item}");
        }
    }
}
