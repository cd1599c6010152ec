use super::*;
use crate::parsing::dates::{Reading, of_number, read};

fn shown(reading: Reading) -> String {
    match reading {
        Reading::Standard(date) => date.to_string(),
        Reading::Odd(date) => format!("odd {date}"),
        Reading::Open => "open".to_owned(),
        Reading::Far => "far".to_owned(),
        Reading::Zero => "zero".to_owned(),
        Reading::Unclear => "unclear".to_owned(),
    }
}

#[track_caller]
fn check(expected: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(shown(read(text)), expected, "{text:?}");
    }
}

#[test]
fn standard_dates() {
    for text in ["2019", "2019-03", "2019-03-05", "2020-02-29", "1000", "2562-05", "2098-12-31"] {
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
    check("unclear", &["04/03/2018", "2019-13", "2019-00", "2019-02-30", "2019-02-29", "0999"]);
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

#[test]
fn days_that_stand_for_no_date() {
    let far = [
        "9999-12-31",
        "9999-12-31T23:59:59Z",
        "9999-12-31 00:00:00.000",
        "31/12/9999",
        "12/31/9999",
        "31.12.9999",
        "9999",
        "9999-12",
        "12/9999",
        "Dec 31, 9999",
        "9999-99-99",
        "2099-12-31",
        "2999-01-01",
        "3000",
        "4712-12-31",
        "253402300799",
        "/Date(253402300799999)/",
    ];
    check("far", &far);
    let zero = [
        "0001-01-01",
        "0001-01-01T00:00:00",
        "0000-00-00",
        "0000-00-00 00:00:00",
        "00/00/0000",
        "01.01.0001",
        "1900-01-01",
        "01/01/1900",
        "30.12.1899",
        "1970-01-01T00:00:00Z",
        "/Date(-62135596800000)/",
        "-62135596800",
    ];
    check("zero", &zero);
}

#[test]
fn moments_are_days() {
    check(
        "odd 2019-01-01",
        &["1546300800", "1546300800000", "/Date(1546300800000)/", "/Date(1546300800000+0100)/"],
    );
    check("odd 2019-01-01", &["1546300800000000", "1546300800000000000"]);
    check("odd 1965-03-16", &["-151372800000"]);
    check("unclear", &["12345678", "/Date()/", "/Date(x)/", "99999999999999999999", "-"]);
    let numbers = json!([
        1546300800,
        1546300800000_i64,
        1546300800000.0,
        1546300800.25,
        2019,
        9999,
        0,
        20190305,
        -1,
        2019.5
    ]);
    let readings =
        ["odd 2019-01-01"; 4].into_iter().chain(["odd 2019", "far", "zero", "unclear", "unclear", "unclear"]);
    for (number, expected) in numbers.as_array().unwrap().iter().zip(readings) {
        assert_eq!(shown(of_number(number.as_number().unwrap())), expected, "{number}");
    }
}

/// The dates of one job, and what was odd about them.
#[track_caller]
fn check_period(start: Value, end: Value, expected: Value, odd: &[&str]) {
    let job = json!({"title": "Dev", "start_date": start, "end_date": end});
    let body = json!({"id": 1, "skills": [], "work_experiences": [job]});
    let resume = good(Format::Profile, &text(&body));
    let job = &resume.work_experiences[0];
    assert_eq!(json!([job.start_date, job.end_date]), expected, "{body}");
    let warnings = warnings(&resume);
    let found: Vec<_> = warnings.iter().map(|line| line.replace("/work_experiences/0/", "")).collect();
    assert_eq!(found, odd, "{body}");
}

#[test]
fn an_end_that_is_far_away_is_open_and_a_start_that_stands_for_none_is_unknown() {
    check_period(json!("2019"), json!("9999-12-31"), json!(["2019", null]), &["open_end end_date"]);
    check_period(json!("2019"), json!("31.12.2099"), json!(["2019", null]), &["open_end end_date"]);
    check_period(
        json!("2019"),
        json!({"year": 9999, "month": 12, "day": 31}),
        json!(["2019", null]),
        &["open_end end_date"],
    );
    let zero = json!("0001-01-01T00:00:00");
    check_period(zero.clone(), json!("2020"), json!([null, "2020"]), &["placeholder_date start_date"]);
    check_period(json!("2019"), zero, json!(["2019", null]), &["placeholder_date end_date"]);
    check_period(json!("9999-12-31"), Value::Null, json!([null, null]), &["placeholder_date start_date"]);
    check_period(json!("1900"), Value::Null, json!(["1900", null]), &["implausible_date start_date"]);
}

#[test]
fn dates_that_nobody_means_are_told() {
    check_period(
        json!("2562-05"),
        json!("2563-05"),
        json!(["2562-05", "2563-05"]),
        &["implausible_date start_date", "implausible_date end_date"],
    );
    check_period(json!("2041"), Value::Null, json!(["2041", null]), &["implausible_date start_date"]);
    let backwards = |start: &str, end: &str| {
        check_period(json!(start), json!(end), json!([start, end]), &["end_before_start end_date"]);
    };
    backwards("2021-05-01", "2019-05-01");
    backwards("2021-05", "2021-04-30");
    backwards("2021-05-02", "2021-05-01");
    check_period(json!("2021-05-02"), json!("2021-05"), json!(["2021-05-02", "2021-05"]), &[]);
    check_period(json!("2021-05-02"), json!("2021"), json!(["2021-05-02", "2021"]), &[]);
}
