use super::*;
use crate::parsing::dates::{Reading, read};

fn reading(text: &str) -> String {
    match read(text) {
        Reading::Standard(date) => date.to_string(),
        Reading::Odd(date) => format!("odd {date}"),
        Reading::Open => "open".to_owned(),
        Reading::Unclear => "unclear".to_owned(),
    }
}

#[track_caller]
fn check(expected: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(reading(text), expected, "{text:?}");
    }
}

#[test]
fn standard_dates() {
    for text in ["2019", "2019-03", "2019-03-05", "2020-02-29", "1000", "2999-12-31"] {
        check(text, &[text]);
    }
}

#[test]
fn odd_dates_with_one_meaning() {
    check("odd 2019-03", &["2019-3", "2019/03", "2019.3", "03/2019", "3/2019", "03-2019", "03.2019"]);
    check("odd 2018-03", &["March 2018", "Mar 2018", "mar. 2018", "MARCH, 2018", "2018 March", "Mar-2018"]);
    check("odd 2018-09", &["Sep 2018", "Sept. 2018", "September 2018"]);
    check(
        "odd 2018-03-15",
        &["15 March 2018", "March 15, 2018", "15. March 2018", "2018/03/15", "2018-3-15"],
    );
    check("odd 2018-03-15", &["15.3.2018", "15/03/2018", "03/15/2018"]);
    check("odd 2018-03-04", &["04.03.2018"]);
    check("odd 2018-05-05", &["05/05/2018"]);
    check(
        "odd 2018-01-15",
        &["2018-01-15T00:00:00Z", "2018-01-15T23:30:00.123+02:00", "2018-01-15 08:00:00"],
    );
    check("odd 2019", &["2019.", "2019-"]);
    check("2019", &[" 2019 "]);
}

#[test]
fn ends_that_have_not_come() {
    check(
        "open",
        &[
            "present",
            "Present",
            " PRESENT ",
            "current",
            "now",
            "today",
            "ongoing",
            "to date",
            "至今",
            "heute",
        ],
    );
}

#[test]
fn texts_that_are_no_date_or_more_than_one() {
    check(
        "unclear",
        &["", "n/a", "soon", "Summer 2019", "ma 2018", "18", "03/18", "20190305", "2013-07-14（9年9个月）"],
    );
    check(
        "unclear",
        &["04/03/2018", "2019-13", "2019-00", "2019-02-30", "2019-02-29", "0999", "3000", "9999-99-99"],
    );
    check(
        "unclear",
        &["2018 - 2019", "2018-2019", "March", "1 2 3 2018", "2018-01-15Tomorrow:", "T:", "٢٠١٩", "-2019-x"],
    );
    check("unclear", &[&"9".repeat(1_000_000), &format!("2019{}", " ".repeat(100))]);
}

#[test]
fn a_start_that_says_present_is_kept_as_given() {
    let resume = good(
        Format::Profile,
        r#"{"id": 1, "skills": [], "work_experiences": [{"start_date": "present", "end_date": 2019}, {"start_date": 1e300}]}"#,
    );
    assert_eq!(resume.work_experiences[0].start_date.as_deref(), Some("present"));
    assert_eq!(resume.work_experiences[0].end_date.as_deref(), Some("2019"));
    assert_eq!(
        warnings(&resume),
        [
            "unclear_date /work_experiences/0/start_date",
            "odd_date /work_experiences/0/end_date",
            "unclear_date /work_experiences/1/start_date"
        ]
    );
}
