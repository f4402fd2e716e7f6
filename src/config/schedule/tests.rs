//! Schedules against a plain model of a clock on the wall, and the days on which clocks are set.

use super::*;
use jiff::ToSpan;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{collection, prop_assert_eq};
use std::collections::BTreeSet;

/// With summer time, with half an hour and two hours of it, at midnight, before midnight, a day left out, none at all.
const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Nuuk",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "UTC",
];

fn schedule(expression: &str, zone_name: &str) -> Schedule {
    Schedule::parse(expression, &find(zone_name)).unwrap()
}

fn find(name: &str) -> TimeZone {
    zone(Some(name), &TimeZone::UTC).unwrap()
}

fn refusal(expression: &str) -> String {
    Schedule::parse(expression, &TimeZone::UTC).unwrap_err().to_string()
}

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next few runs, as the clock shows them.
fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let mut at = moment(after);
    let mut next = || {
        at = schedule.next_after(at).unwrap();
        at.to_zoned(schedule.zone().clone()).strftime("%F %H:%M %Z").to_string()
    };
    (0..count).map(|_| next()).collect()
}

/// A field as it is written, what it means, and whether cron takes it for unrestricted.
#[derive(Clone, Debug)]
struct Written {
    text: String,
    values: BTreeSet<i8>,
}

impl Written {
    fn has_star(&self) -> bool {
        self.text.starts_with('*')
    }
}

fn item(low: i8, high: i8) -> impl Strategy<Value = Written> {
    let written = |text: String, values: Vec<i8>| Written { text, values: values.into_iter().collect() };
    let stepped = |from: i8, to: i8, step: i8| (from..=to).step_by(step as usize).collect::<Vec<_>>();
    let step_limit = high.min(12);
    prop_oneof![
        2 => (low..=high).prop_map(move |value| written(value.to_string(), vec![value])),
        1 => (low..=high, low..=high).prop_map(move |(a, b)| {
            let (from, to) = (a.min(b), a.max(b));
            written(format!("{from}-{to}"), (from..=to).collect())
        }),
        1 => (low..=high, low..=high, 1..=step_limit).prop_map(move |(a, b, step)| {
            let (from, to) = (a.min(b), a.max(b));
            written(format!("{from}-{to}/{step}"), stepped(from, to, step))
        }),
        1 => (1..=step_limit).prop_map(move |step| written(format!("*/{step}"), stepped(low, high, step))),
    ]
}

fn field(low: i8, high: i8, stars: u32) -> impl Strategy<Value = Written> {
    let list = collection::vec(item(low, high), 1..4).prop_map(|items| Written {
        text: items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join(","),
        values: items.iter().flat_map(|item| item.values.clone()).collect(),
    });
    prop_oneof![
        stars => Just(Written { text: "*".to_owned(), values: (low..=high).collect() }),
        3 => list,
    ]
}

/// Minute, hour, day of month, month, day of week.
type Fields = [Written; 5];

fn fields() -> impl Strategy<Value = Fields> {
    let days = (field(1, 31, 9), field(1, 12, 20), field(0, 7, 9));
    (field(0, 59, 1), field(0, 23, 2), days)
        .prop_map(|(minute, hour, (day, month, weekday))| [minute, hour, day, month, weekday])
}

fn matches([minute, hour, day, month, weekday]: &Fields, shown: DateTime) -> bool {
    let sunday_first = shown.weekday().to_sunday_zero_offset();
    let is_day = day.values.contains(&shown.day());
    let is_weekday = weekday.values.contains(&sunday_first) || (sunday_first == 0 && weekday.values.contains(&7));
    let is_right_day = if day.has_star() || weekday.has_star() { is_day && is_weekday } else { is_day || is_weekday };
    is_right_day
        && month.values.contains(&shown.month())
        && hour.values.contains(&shown.hour())
        && minute.values.contains(&shown.minute())
}

/// Looks at the clock every minute, and at what it has left out since the last look.
fn model(fields: &Fields, zone: &TimeZone, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
    let is_every_hour = ["*", "*/1", "0-23"].contains(&fields[1].text.as_str());
    let mut runs = Vec::new();
    // Long enough before to know what has been shown already.
    let mut at = start.checked_sub(30.hours()).unwrap();
    let mut highest = zone.to_datetime(at);
    while at < end {
        at = at.checked_add(1.minute()).unwrap();
        let shown = zone.to_datetime(at);
        let mut is_run = is_every_hour && matches(fields, shown);
        while highest < shown {
            highest = highest.checked_add(1.minute()).unwrap();
            is_run |= matches(fields, highest);
        }
        if is_run && at > start && at <= end {
            runs.push(at);
        }
    }
    runs
}

/// Around the days when this zone's clock is set, or any time.
fn places() -> impl Strategy<Value = (TimeZone, Timestamp)> {
    let years = 946_684_800_i64..2_145_916_800;
    (select(&ZONES[..]), years, 0..4000_i64, any::<bool>()).prop_map(|(name, second, minutes, is_anywhere)| {
        let zone = find(name);
        let anywhere = Timestamp::from_second(second).unwrap();
        let change = zone.following(anywhere).next().map(|change| change.timestamp());
        let start = change.filter(|_| !is_anywhere).unwrap_or(anywhere).as_second() / 60 - minutes;
        (zone.clone(), Timestamp::from_second(start * 60).unwrap())
    })
}

proptest! {
    #[test]
    fn runs_are_those_of_a_clock_on_the_wall(
        fields in fields(),
        (zone, start) in places(),
        probes in collection::vec(0..4320_i64 * 60, 4),
    ) {
        let expression = fields.each_ref().map(|field| field.text.as_str()).join(" ");
        let Ok(schedule) = Schedule::parse(&expression, &zone) else {
            let from = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
            let mut days = (0..1461).map(|day| from.checked_add(day.days()).unwrap());
            let zero = Written { text: "0".to_owned(), values: [0].into() };
            let [_, _, day, month, weekday] = fields;
            let at_midnight = [zero.clone(), zero, day, month, weekday];
            let found = days.find(|day| matches(&at_midnight, *day));
            prop_assert_eq!(found, None, "{} was refused", expression);
            return Ok(());
        };
        let end = start.checked_add(72.hours()).unwrap();
        let expected = model(&fields, &zone, start, end);
        let mut found = Vec::new();
        let mut at = start;
        while let Some(next) = schedule.next_after(at).filter(|next| *next <= end) {
            found.push(next);
            at = next;
        }
        prop_assert_eq!(&found, &expected, "{} in {:?}", expression, zone.iana_name());
        for seconds in probes {
            let probe = start.checked_add(seconds.seconds()).unwrap();
            let last = schedule.last_before_or_at(probe);
            match expected.iter().rfind(|run| **run <= probe) {
                Some(run) => prop_assert_eq!(last, Some(*run), "{} before {}", expression, probe),
                None => assert!(last.is_none_or(|last| last <= start), "{expression} before {probe}: {last:?}"),
            }
        }
    }

    #[test]
    fn what_is_daily_comes_once_a_day(
        hour in 0..24_i8,
        minute in 0..60_i8,
        zone_name in select(&ZONES[..]),
        year in 2012..2034_i16,
    ) {
        let schedule = schedule(&format!("{minute} {hour} * * *"), zone_name);
        let mut at = moment(&format!("{year}-01-01T12:00:00Z"));
        let mut before = None;
        while at < moment(&format!("{}-01-01T12:00:00Z", year + 1)) {
            at = schedule.next_after(at).unwrap();
            // The day before, if its last hour was left out.
            let shown = schedule.zone().to_datetime(at);
            let is_late = shown.hour() == 0 && hour == 23;
            let day = if is_late { shown.date().yesterday().unwrap() } else { shown.date() };
            if let Some(before) = before.replace(day) {
                prop_assert_eq!(day, before.tomorrow().unwrap(), "{} in {}", schedule.expression(), zone_name);
            }
        }
    }

    #[test]
    fn nothing_makes_it_panic(expression in "[-*/,0-9A-Za-z@#? ]{0,20}", seconds in any::<i64>()) {
        if let Ok(schedule) = Schedule::parse(&expression, &TimeZone::UTC) {
            let at = Timestamp::from_second(seconds % 253_402_207_200).unwrap();
            schedule.next_after(at);
            assert!(schedule.last_before_or_at(at).is_none_or(|last| last <= at));
        }
    }
}

#[test]
fn what_spring_leaves_out_comes_right_after() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    let expected = ["2026-03-28 02:30 CET", "2026-03-29 03:00 CEST", "2026-03-30 02:30 CEST"];
    assert_eq!(runs(&berlin, "2026-03-28T00:00:00Z", 3), expected);
    let quarters = schedule("*/15 2-3 * * *", "Europe/Berlin");
    let expected = ["03:00", "03:15", "03:30", "03:45"].map(|time| format!("2026-03-29 {time} CEST"));
    assert_eq!(runs(&quarters, "2026-03-29T00:00:00Z", 4), expected);
    // Here the last hour of the 30th is missing.
    let nuuk = schedule("30 23 * * *", "America/Nuuk");
    assert_eq!(runs(&nuuk, "2024-03-30T12:00:00Z", 2), ["2024-03-31 00:00 -01", "2024-03-31 23:30 -01"]);
    // And here the whole day.
    let apia = schedule("0 12 30 12 *", "Pacific/Apia");
    assert_eq!(runs(&apia, "2011-12-01T00:00:00Z", 2), ["2011-12-31 00:00 +14", "2012-12-30 12:00 +14"]);
}

#[test]
fn what_autumn_shows_twice_comes_once() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    let expected = ["2026-10-24 02:30 CEST", "2026-10-25 02:30 CEST", "2026-10-26 02:30 CET"];
    assert_eq!(runs(&berlin, "2026-10-24T00:00:00Z", 3), expected);
    let hourly = schedule("@hourly", "Europe/Berlin");
    let expected = ["02:00 CEST", "02:00 CET", "03:00 CET"].map(|time| format!("2026-10-25 {time}"));
    assert_eq!(runs(&hourly, "2026-10-24T23:30:00Z", 3), expected);
}

#[test]
fn names_and_both_days() {
    for (name, next) in [
        ("@hourly", "2026-05-06 13:00"),
        ("@daily", "2026-05-07 00:00"),
        ("@midnight", "2026-05-07 00:00"),
        ("@weekly", "2026-05-10 00:00"),
        ("@monthly", "2026-06-01 00:00"),
        ("@Yearly", "2027-01-01 00:00"),
        ("@annually", "2027-01-01 00:00"),
        ("  5 4  * * sun", "2026-05-10 04:05"),
        ("0 0 13 * FRI", "2026-05-08 00:00"),
        ("0 0 */2 * FRI", "2026-05-15 00:00"),
        ("0 0 * jan,JUL Mon-Fri", "2026-07-01 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 29 2 */7", "2032-02-29 00:00"),
        ("15 10 * * 7", "2026-05-10 10:15"),
    ] {
        let found = runs(&schedule(name, "UTC"), "2026-05-06T12:00:00Z", 1);
        assert_eq!(found, [format!("{next} UTC")], "{name}");
    }
    let both: Vec<String> = runs(&schedule("0 0 13 * FRI", "UTC"), "2026-05-06T12:00:00Z", 3);
    assert_eq!(both, ["2026-05-08", "2026-05-13", "2026-05-15"].map(|day| format!("{day} 00:00 UTC")));
}

#[test]
fn the_last_moment_is_found_near_and_far() {
    let last = |expression, at| schedule(expression, "UTC").last_before_or_at(moment(at)).unwrap().to_string();
    assert_eq!(last("30 2 * * *", "2026-05-06T02:30:00Z"), "2026-05-06T02:30:00Z");
    assert_eq!(last("30 2 * * *", "2026-05-06T02:29:59.999Z"), "2026-05-05T02:30:00Z");
    assert_eq!(last("* * * * *", "2026-05-06T02:29:59Z"), "2026-05-06T02:29:00Z");
    assert_eq!(last("* * 1 * *", "2026-05-31T12:00:00Z"), "2026-05-01T23:59:00Z");
    assert_eq!(last("0 0 29 2 *", "2028-02-28T23:59:00Z"), "2024-02-29T00:00:00Z");
    assert_eq!(last("0 0 29 2 *", "1903-01-01T00:00:00Z"), "1896-02-29T00:00:00Z");
    assert_eq!(last("0 0 29 2 */7", "2032-01-01T00:00:00Z"), "2004-02-29T00:00:00Z");
}

#[test]
fn no_time_is_too_early_or_too_late() {
    for zone_name in ZONES {
        let schedule = schedule("30 2 * * *", zone_name);
        for year in ["0001", "9800"] {
            let at = moment(&format!("{year}-01-01T00:00:00Z"));
            assert!(schedule.next_after(at).is_some_and(|next| next > at), "{zone_name}");
            assert!(schedule.last_before_or_at(at).is_some_and(|last| last <= at), "{zone_name}");
        }
        schedule.next_after(Timestamp::MIN);
        assert_eq!(schedule.next_after(Timestamp::MAX), None, "{zone_name}");
        assert_eq!(schedule.last_before_or_at(Timestamp::MIN), None, "{zone_name}");
        schedule.last_before_or_at(Timestamp::MAX);
    }
}

#[test]
fn refusals_name_the_expression_and_the_field() {
    for (expression, field) in [
        ("60 2 * * *", "the minute '60'"),
        ("0 24 * * *", "the hour '24'"),
        ("0 0 0 * *", "the day of month '0'"),
        ("0 0 * 13 *", "the month '13'"),
        ("0 0 * JANUARY *", "the month 'JANUARY'"),
        ("0 0 * * 8", "the day of week '8'"),
        ("0 0 * * FRI-MON", "the day of week 'FRI-MON'"),
        ("MON 0 * * *", "the minute 'MON'"),
        ("5-1 0 * * *", "the minute '5-1'"),
        ("*/0 0 * * *", "the minute '*/0'"),
        ("1,,2 0 * * *", "the minute '1,,2'"),
        // What other programs know, cron does not.
        ("0 0 L * *", "the day of month 'L'"),
        ("0 0 15W * *", "the day of month '15W'"),
        ("0 0 * * 5L", "the day of week '5L'"),
        ("0 0 * * 5#3", "the day of week '5#3'"),
        ("0 0 ? * *", "the day of month '?'"),
        ("H 0 * * *", "the minute 'H'"),
        ("999999999999999999999 0 * * *", "the minute '999999999999999999999'"),
    ] {
        let sentence = refusal(expression);
        assert!(sentence.starts_with(field) && sentence.contains(&format!("'{expression}'")), "{sentence}");
        assert!(sentence.contains("give numbers from"), "{sentence}");
    }
    for (expression, found) in
        [("", "no field"), ("@ daily", "not known"), ("5", "one field"), ("0 0 * * * *", "6 fields")]
    {
        assert!(refusal(expression).contains(found), "{}", refusal(expression));
    }
    assert!(refusal("0 0 0 * * *").contains("five are wanted"));
    assert!(refusal("@reboot").contains("@daily"));
    for never in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 feb */2"] {
        let sentence = refusal(never);
        assert!(sentence.contains(never) && sentence.contains("never comes"), "{sentence}");
    }
    assert!(!refusal("0 0 30 2\n*").contains('\n') && !refusal("\u{1b}[2J 0 * * *").contains('\u{1b}'));
}

#[test]
fn zones_are_found_by_name() {
    let system = find("Asia/Kathmandu");
    assert_eq!(zone(None, &system), Ok(system.clone()));
    assert_eq!(zone(Some("Europe/Berlin"), &system).unwrap().iana_name(), Some("Europe/Berlin"));
    assert_eq!(find_zone("utc", &TimeZoneDatabase::none()), Ok(TimeZone::UTC));
    for name in ["", "Berlin", "../Europe/Berlin", "Europe/Berlin\0"] {
        assert_eq!(zone(Some(name), &system), Err(ScheduleError::UnknownZone { name: name.to_owned() }));
    }
    let sentence = find_zone("Europe/Berlin", &TimeZoneDatabase::none()).unwrap_err().to_string();
    assert!(sentence.contains("tzdata"), "{sentence}");
}
