//! When schedules tick, without a database: zones, changed clocks, missed ticks, expressions that are no
//! good.

use std::time::Instant;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Missed, TICKS_MAX, Timing, ticks::Timetable};

fn cron(expression: &str, time_zone: &str) -> Timing {
    Timing::Cron { expression: expression.to_owned(), time_zone: time_zone.to_owned() }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The next ticks, as the wall clock of the zone shows them.
fn next(expression: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
    let zone_: Tz = zone.parse().unwrap();
    let ticks = cron(expression, zone).ticks_after(at(after), n).unwrap();
    ticks.iter().map(|tick| tick.with_timezone(&zone_).format("%m-%d %H:%M %Z").to_string()).collect()
}

#[test]
fn ticks_are_those_of_the_expression_in_its_zone() {
    let after = "2026-01-30T22:59:59.5Z";
    assert_eq!(next("0 0 * * *", "Europe/Berlin", after, 2), ["01-31 00:00 CET", "02-01 00:00 CET"]);
    assert_eq!(next("0 0 31 * *", "UTC", after, 2), ["01-31 00:00 UTC", "03-31 00:00 UTC"]);
    assert_eq!(next("*/20 9-10 * * MON", "UTC", after, 4)[2..], ["02-02 09:40 UTC", "02-02 10:00 UTC"]);
    assert_eq!(
        next("0 12 1 * 0", "UTC", after, 3),
        ["02-01 12:00 UTC", "02-08 12:00 UTC", "02-15 12:00 UTC"]
    );
    assert_eq!(next("@daily", "Asia/Kathmandu", after, 1), ["02-01 00:00 +0545"]);
    assert_eq!(next("0 0 29 2 *", "UTC", after, 1), ["02-29 00:00 UTC"], "in 2028");
}

/// The clock is put forward from 02:00 to 03:00 on 2026-03-29 and back from 03:00 to 02:00 on 2026-10-25.
#[test]
fn a_time_of_day_comes_once_on_the_days_when_the_clock_is_changed() {
    let berlin = |expression, after| next(expression, "Europe/Berlin", after, 3);
    assert_eq!(
        berlin("30 2 * * *", "2026-03-27T12:00:00Z"),
        ["03-28 02:30 CET", "03-29 03:00 CEST", "03-30 02:30 CEST"]
    );
    assert_eq!(
        berlin("30 2 * * *", "2026-10-23T12:00:00Z"),
        ["10-24 02:30 CEST", "10-25 02:30 CEST", "10-26 02:30 CET"]
    );
}

#[test]
fn an_interval_goes_on_over_the_change_of_the_clock() {
    let berlin = |after| next("*/30 * * * *", "Europe/Berlin", after, 5);
    let spring =
        ["03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST", "03-29 04:00 CEST", "03-29 04:30 CEST"];
    assert_eq!(berlin("2026-03-29T00:00:00Z"), spring);
    let autumn =
        ["10-25 02:00 CEST", "10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-25 03:00 CET"];
    assert_eq!(berlin("2026-10-24T23:30:00Z"), autumn);
}

/// What is due is found from its end, what comes next from its start: both must see the same ticks.
#[test]
fn the_way_back_has_the_ticks_of_the_way_forward() {
    let (first, last) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    for zone in ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"] {
        for expression in
            ["30 2 * * *", "0 0 * * *", "15 */6 * * *", "59 23 L * *", "5 1,2,3 * 3,4,10,11 SUN", "0 * * 4 *"]
        {
            let timetable = Timetable::read(&cron(expression, zone)).unwrap();
            let after = first - chrono::TimeDelta::seconds(1);
            let forward: Vec<_> =
                std::iter::successors(timetable.next_after(after), |t| timetable.next_after(*t))
                    .take_while(|tick| *tick <= last)
                    .collect();
            let back = timetable.due(first, last, Missed::All);
            assert_eq!(back, forward[forward.len().saturating_sub(TICKS_MAX)..], "{expression} in {zone}");
        }
    }
}

#[test]
fn missed_ticks_are_dealt_with_by_policy() {
    let hourly = Timetable::read(&cron("0 * * * *", "UTC")).unwrap();
    let first = at("2026-05-01T10:00:00Z");
    let due = |now: &str, missed| hourly.due(first, at(now), missed);
    let hours = |hours: &[u32]| -> Vec<_> {
        hours.iter().map(|hour| at(&format!("2026-05-01T{hour:02}:00:00Z"))).collect()
    };
    use Missed::{All, Once, Skip};
    for (now, skip, once, all) in [
        ("2026-05-01T09:59:59.9Z", &[] as &[u32], &[] as &[u32], &[] as &[u32]),
        ("2026-05-01T10:00:00Z", &[10], &[10], &[10]),
        ("2026-05-01T10:00:59.9Z", &[10], &[10], &[10]),
        ("2026-05-01T10:01:00Z", &[], &[10], &[10]),
        ("2026-05-01T13:00:01.5Z", &[13], &[13], &[10, 11, 12, 13]),
        ("2026-05-01T13:30:00Z", &[], &[13], &[10, 11, 12, 13]),
    ] {
        assert_eq!(
            (due(now, Skip), due(now, Once), due(now, All)),
            (hours(skip), hours(once), hours(all)),
            "{now}"
        );
    }
    // Years of them cost no more than a thousand.
    let start = Instant::now();
    let minutely = Timetable::read(&cron("* * * * *", "Europe/Berlin")).unwrap();
    let all = minutely.due(at("2006-05-01T10:00:00Z"), first, All);
    eprintln!("a thousand of ten million missed ticks: {:?}", start.elapsed());
    assert_eq!((all.len(), all.last()), (TICKS_MAX, Some(&first)));
}

#[test]
fn once_is_once() {
    let moment = at("2026-05-01T10:00:00Z");
    let once = Timetable::read(&Timing::Once(moment)).unwrap();
    assert_eq!((once.next_after(at("2026-05-01T09:00:00Z")), once.next_after(moment)), (Some(moment), None));
    let late = at("2026-05-01T11:00:00Z");
    assert_eq!(once.due(moment, late, Missed::Once), [moment]);
    assert!(once.due(moment, late, Missed::Skip).is_empty());
}
