/// The skills people have: the name as written and how often it is drawn, relative to the others.
///
/// Real lists spell one skill in several ways, so this one does too, on purpose: `React`, `ReactJS`,
/// `React.js`; `Postgres`, `PostgreSQL`; `Node.js`, `node.js`, `NodeJS`. Whoever searches for a skill has to
/// know that. The weights are ours: a few very common ones and a long tail. The order and the weights decide
/// who has what, so changing them changes every person of every seed.
pub const SKILLS: [(&str, u8); 88] = [
    ("React", 30),
    ("SQL", 34),
    ("Python", 34),
    ("Java", 26),
    ("JavaScript", 34),
    ("TypeScript", 22),
    ("ReactJS", 7),
    ("React.js", 6),
    ("PostgreSQL", 16),
    ("Postgres", 6),
    ("Node.js", 14),
    ("NodeJS", 5),
    ("node.js", 4),
    ("Docker", 20),
    ("Kubernetes", 13),
    ("k8s", 3),
    ("AWS", 20),
    ("Amazon Web Services", 3),
    ("Azure", 11),
    ("GCP", 6),
    ("Google Cloud", 4),
    ("Git", 24),
    ("Linux", 18),
    ("HTML", 18),
    ("HTML5", 5),
    ("CSS", 17),
    ("CSS3", 4),
    ("C#", 14),
    ("C++", 12),
    ("C", 8),
    (".NET", 9),
    ("Go", 8),
    ("Golang", 4),
    ("Rust", 6),
    ("Ruby", 6),
    ("Ruby on Rails", 5),
    ("PHP", 10),
    ("Laravel", 5),
    ("Django", 8),
    ("Flask", 5),
    ("FastAPI", 4),
    ("Spring Boot", 9),
    ("Spring", 4),
    ("Vue.js", 7),
    ("VueJS", 2),
    ("Angular", 9),
    ("Next.js", 6),
    ("GraphQL", 6),
    ("REST APIs", 10),
    ("MySQL", 12),
    ("MongoDB", 10),
    ("Redis", 8),
    ("Elasticsearch", 4),
    ("Kafka", 6),
    ("Apache Kafka", 2),
    ("RabbitMQ", 4),
    ("Celery", 3),
    ("Terraform", 7),
    ("Ansible", 4),
    ("Jenkins", 5),
    ("CI/CD", 9),
    ("Machine Learning", 8),
    ("machine learning", 3),
    ("PyTorch", 4),
    ("TensorFlow", 4),
    ("pandas", 6),
    ("Apache Spark", 4),
    ("Airflow", 3),
    ("dbt", 2),
    ("Tableau", 5),
    ("Power BI", 6),
    ("Excel", 14),
    ("Swift", 4),
    ("Kotlin", 5),
    ("Android", 5),
    ("iOS", 4),
    ("Figma", 6),
    ("UX Design", 5),
    ("Agile", 14),
    ("Scrum", 10),
    ("Jira", 9),
    ("Project Management", 11),
    ("Product Management", 5),
    ("Salesforce", 4),
    ("SAP", 4),
    ("Accounting", 3),
    ("Patient Care", 2),
    ("Curriculum Design", 2),
];

const TOTAL: usize = total();

/// The position of a skill for each of its weight's units: a draw is one look-up.
static DRAWS: [u8; TOTAL] = draws();

/// The number of values that [`drawn`] takes.
pub(crate) const DRAW_COUNT: u32 = TOTAL as u32;

/// The position in [`SKILLS`] that a number below [`DRAW_COUNT`] stands for.
pub(crate) fn drawn(number: u32) -> usize {
    usize::from(DRAWS[number as usize])
}

const fn total() -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < SKILLS.len() {
        sum += SKILLS[i].1 as usize;
        i += 1;
    }
    sum
}

const fn draws() -> [u8; TOTAL] {
    let (mut table, mut at, mut i) = ([0; TOTAL], 0, 0);
    while i < SKILLS.len() {
        let mut unit = 0;
        while unit < SKILLS[i].1 {
            table[at] = i as u8;
            at += 1;
            unit += 1;
        }
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_skill_can_be_drawn_and_none_needs_escaping() {
        let reached: HashSet<_> = (0..DRAW_COUNT).map(drawn).collect();
        assert_eq!(reached.len(), SKILLS.len());
        for (name, _) in SKILLS {
            assert_eq!(serde_json::to_string(name).unwrap(), format!("\"{name}\""));
        }
        assert_eq!(SKILLS.map(|(name, _)| name).into_iter().collect::<HashSet<_>>().len(), SKILLS.len());
    }
}
