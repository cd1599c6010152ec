//! What is no cron expression is refused in our own words; what is one has ticks, which are found in bounded
//! work.

use std::cell::Cell;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Direction;
use proptest::prelude::*;

use super::{
    ScheduleError, Timing,
    expression::read,
    search::{LOOKS_MAX, YEARS_MAX, find, find_and_count},
};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn refused(expression: &str) -> (&'static str, usize, String) {
    match read(expression).unwrap_err() {
        ScheduleError::Cron { expression: given, field, position, why } => {
            assert!(expression.starts_with(&given), "{given}");
            (field, position, why)
        }
        other => panic!("{expression}: {other}"),
    }
}

#[test]
fn an_error_says_where_and_why() {
    let minute = |why: &str| ("minute", 1, why.to_owned());
    let whole = |why: &str| ("the whole", 1, why.to_owned());
    let fields = "must have five: minute, hour, day of month, month, day of week";
    let nicknames =
        "is none of the nicknames: @hourly, @daily, @weekly, @monthly, @yearly, @annually".to_owned();
    let never = "no month has such a day, so it never comes".to_owned();
    for (expression, expected) in [
        ("61 * * * *", minute("\"61\" is none of 0 to 59")),
        ("+3 * * * *", minute("\"+3\" is none of 0 to 59")),
        ("☃ * * * *", minute("\"☃\" is none of 0 to 59")),
        ("1,, * * * *", minute("a value is missing beside a comma")),
        ("*,1 * * * *", minute("* stands for every value, and cannot be in a list")),
        ("9-5 * * * *", minute("the range \"9-5\" begins after its end")),
        ("*/61 * * * *", minute("\"61\" is no step: there are 1 to 59")),
        ("*/0 * * * *", minute("\"0\" is no step: there are 1 to 59")),
        ("*/ * * * *", minute("\"\" is no step: there are 1 to 59")),
        ("5/5 * * * *", minute("\"5\" has steps: only * and a range can, as */5")),
        ("? * * * *", minute("\"?\" is none of 0 to 59")),
        ("0 24 * * *", ("hour", 3, "\"24\" is none of 0 to 23".to_owned())),
        ("0  5-2x * * *", ("hour", 4, "\"2X\" is none of 0 to 23".to_owned())),
        ("0 JAN * * *", ("hour", 3, "\"JAN\" is none of 0 to 23".to_owned())),
        ("0 5 0 * *", ("day of month", 5, "\"0\" is none of 1 to 31".to_owned())),
        ("0 5 32W * *", ("day of month", 5, "\"32\" is none of 1 to 31".to_owned())),
        ("0 5 * JANUS *", ("month", 7, "\"JANUS\" is none of 1 to 12 or JAN to DEC".to_owned())),
        ("0 5 * * 8", ("day of week", 9, "\"8\" is none of 0 to 7 or SUN to SAT".to_owned())),
        ("0 5 * * +3", ("day of week", 9, "\"+3\" is none of 0 to 7 or SUN to SAT".to_owned())),
        ("0 5 * * 5#6", ("day of week", 9, "\"6\" must be 1 to 5 or L after #".to_owned())),
        (
            "0 5 * * L",
            ("day of week", 9, "L goes with a day, as 5L for the last Friday of the month".to_owned()),
        ),
        ("0 5 30 2 *", ("day of month", 5, never.clone())),
        ("0 5 31 2,4,6,9,11 *", ("day of month", 5, never.clone())),
        ("0 0 30W 2 *", ("day of month", 5, never)),
        ("* * * *", whole(&format!("it has 4 fields, and {fields}"))),
        ("0 0 0 * * *", whole(&format!("it has 6 fields, and {fields}"))),
        ("", whole(&format!("it has 0 fields, and {fields}"))),
        ("@reboot", whole(&format!("\"@reboot\" {nicknames}"))),
        ("@midnight", whole(&format!("\"@midnight\" {nicknames}"))),
        ("@every 5m", whole(&format!("\"@every\" {nicknames}"))),
    ] {
        assert_eq!(refused(expression), expected, "{expression}");
    }
    assert_eq!(refused(&"0,".repeat(10_000)), whole("it has 20000 bytes, the most is 200"));
    assert_eq!(
        read("0 5 0 * *").unwrap_err().to_string(),
        "the cron expression \"0 5 0 * *\": day of month, at character 5: \"0\" is none of 1 to 31"
    );
    let zone = Timing::Cron { expression: "0 5 * * *".to_owned(), time_zone: "Europe/Berlim".to_owned() };
    assert_eq!(
        zone.ticks_after(at("2026-05-01T10:00:00Z"), 1).unwrap_err().to_string(),
        "time_zone \"Europe/Berlim\" of the schedule is no name of the IANA database, such as Europe/Berlin or UTC"
    );
}

/// A field without a value matches nothing: croner would look for it for thousands of years, minute by
/// minute.
#[test]
fn a_field_without_a_value_is_named_before_anything_is_searched() {
    for (n, name) in ["minute", "hour", "day of month", "month", "day of week"].into_iter().enumerate() {
        for field in [",", ",,", "1,", ",1"] {
            let mut fields = ["*"; 5];
            fields[n] = field;
            let why = "a value is missing beside a comma".to_owned();
            assert_eq!(refused(&fields.join(" ")), (name, 2 * n + 1, why), "{field:?}");
        }
    }
}

#[test]
fn everything_that_is_documented_is_read() {
    let after = at("2026-05-01T10:00:30Z");
    for (expression, next) in [
        ("@hourly", "2026-05-01T11:00:00Z"),
        ("@Daily", "2026-05-02T00:00:00Z"),
        (" @weekly ", "2026-05-03T00:00:00Z"),
        ("@monthly", "2026-06-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("*/59 * * * *", "2026-05-01T10:59:00Z"),
        ("5-59/20 10-12 ? may ?", "2026-05-01T10:05:00Z"),
        ("0 0 L * *", "2026-05-31T00:00:00Z"),
        ("0 0 LW * *", "2026-05-29T00:00:00Z"),
        ("0 0 16W * *", "2026-05-15T00:00:00Z"),
        ("0 0 * * fri#2", "2026-05-08T00:00:00Z"),
        ("0 0 * * 5L", "2026-05-29T00:00:00Z"),
        ("0 0 * * 5#L", "2026-05-29T00:00:00Z"),
        ("0 0 * * FRI-SUN", "2026-05-02T00:00:00Z"),
        ("0 0 * * 7", "2026-05-03T00:00:00Z"),
        ("0 0 29 2 1", "2027-02-01T00:00:00Z"),
        ("0 0 * 2 1#5", "2044-02-29T00:00:00Z"),
    ] {
        let cron = read(expression).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(find(&cron, Tz::UTC, after, Direction::Forward), Some(at(next)), "{expression}");
    }
}

/// That no tick is further away than the search goes.
#[test]
fn the_rarest_day_comes_after_forty_years_at_most() {
    let days = at("2000-01-01T00:00:00Z").date_naive().iter_days().take(365 * 810);
    let leap_days: Vec<_> = days.filter(|day| (day.month(), day.day()) == (2, 29)).collect();
    for weekday in 0..7 {
        let years = leap_days.iter().filter(|day| day.weekday().num_days_from_sunday() == weekday);
        let years: Vec<i32> = years.map(Datelike::year).collect();
        let longest = years.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert_eq!(longest, Some(YEARS_MAX), "weekday {weekday}");
        let first = read(&format!("0 0 * 2 {weekday}#5")).unwrap();
        let all: Vec<i32> = std::iter::successors(Some(at("2000-01-01T00:00:00Z")), |tick| {
            find(&first, Tz::UTC, *tick, Direction::Forward)
        })
        .skip(1)
        .map(|tick| tick.year())
        .take(years.len())
        .collect();
        assert_eq!(all, years, "weekday {weekday}");
    }
}

/// The last Sunday of March has no such time in Berlin.
#[test]
fn a_tick_that_always_falls_into_the_skipped_hour_is_given_up() {
    let never =
        Timing::Cron { expression: "*/30 2 * 3 0L".to_owned(), time_zone: "Europe/Berlin".to_owned() };
    let from = at("2026-05-01T10:00:00Z");
    assert!(never.ticks_after(from, 1).unwrap().is_empty());
}

/// A field: as a rule a good one, of values between these.
fn field(lowest: u8, highest: u8) -> impl Strategy<Value = String> {
    let value = lowest..=highest;
    let good = prop_oneof![
        value.clone().prop_map(|n| n.to_string()),
        (1..=highest).prop_map(|n| format!("*/{n}")),
        (value.clone(), value).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ];
    // Good in one field or another, or in none.
    let odd = prop_oneof![
        (0..9u8, 0..7u8).prop_map(|(day, nth)| format!("{day}#{nth}")),
        (0..33u8).prop_map(|day| format!("{day}W")),
        (0..9u8).prop_map(|day| format!("{day}L")),
        "[,*/?LW#+0-9A-Z@-]{0,4}",
        prop::sample::select(vec!["", "L", "LW", "?", "FEB", "MAR", "SUN", "SAT", "FRI-SUN", "5#L"])
            .prop_map(str::to_owned),
    ];
    let part = prop_oneof![9 => good, 1 => odd];
    prop_oneof![
        4 => Just("*".to_owned()),
        4 => part.clone(),
        2 => prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(",")),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

#[test]
fn whatever_is_accepted_is_found_in_bounded_work() {
    // Nuuk skips an hour up to midnight, Lord Howe half an hour, and Apia left out a whole day once.
    let zones = ["UTC", "Europe/Berlin", "America/Nuuk", "Australia/Lord_Howe", "Pacific/Apia"]
        .map(|zone| zone.parse::<Tz>().unwrap());
    let (accepted, most) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&(expression(), 0..28_000i64), |(expression, days)| {
            let cron = match read(&expression) {
                Ok(cron) => cron,
                Err(error) => {
                    prop_assert!(
                        !error.to_string().contains("cannot be read"),
                        "{error}: croner alone refuses"
                    );
                    return Ok(());
                }
            };
            accepted.set(accepted.get() + 1);
            let from = at("1971-01-01T07:08:09Z") + TimeDelta::days(days);
            for zone in zones {
                for direction in [Direction::Forward, Direction::Backward] {
                    let (tick, looks) = find_and_count(&cron, zone, from, direction);
                    most.set(looks.max(most.get()));
                    prop_assert!(looks <= LOOKS_MAX + 1);
                    prop_assert!(tick.is_some() || zone != Tz::UTC, "{expression} has no tick");
                }
            }
            Ok(())
        })
        .unwrap();
    eprintln!("{} of 4000 accepted, at most {} moments looked at", accepted.get(), most.get());
    assert!(accepted.get() > 1_000, "{}", accepted.get());
}

/// What takes the longest: days that are rare, and times in the hours that are left out.
#[test]
fn the_worst_expressions_take_a_bounded_number_of_looks() {
    let mut worst = 0;
    for (expression, zone) in [
        ("0 0 29 2 *", "UTC"),
        ("0 0 * 2 1#5", "UTC"),
        ("* * * 2 1#5", "Europe/Berlin"),
        ("*/30 2 * 3 0L", "Europe/Berlin"),
        ("* 2 * 3 0L", "Europe/Berlin"),
        ("0 2 * 3 0L", "Europe/Berlin"),
        ("0 23 * 3 6L", "America/Nuuk"),
        ("0 23 31 3 *", "America/Nuuk"),
        ("0-59 23 30 3 *", "America/Nuuk"),
        ("* 2 * 10 0#1", "Australia/Lord_Howe"),
        ("0 0 30 12 *", "Pacific/Apia"),
    ] {
        let (cron, zone) = (read(expression).unwrap(), zone.parse().unwrap());
        for year in [2005, 2026, 2073, 2090] {
            for direction in [Direction::Forward, Direction::Backward] {
                let from = at(&format!("{year}-06-01T00:00:00Z"));
                let start = std::time::Instant::now();
                let (tick, looks) = find_and_count(&cron, zone, from, direction);
                worst = worst.max(looks);
                eprintln!(
                    "{expression} in {zone} from {year} {direction:?}: {looks} looks, {:?}, {tick:?}",
                    start.elapsed()
                );
            }
        }
    }
    assert!(worst <= LOOKS_MAX, "{worst}");
}
