//! Retention against verdicts reasoned out by hand, a year of nightly backups, and a plain slow model.

use super::{Candidate, Count, Keep, Reason, Verdict, decide, removes_all};
use crate::base::SnapshotId;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq};
use std::collections::BTreeSet;

/// Policies in a short form: `daily=7 within=30d tags=a,b`.
fn policy(text: &str) -> Keep {
    let mut keep = Keep::default();
    for rule in text.split_whitespace() {
        let (name, value) = rule.split_once('=').unwrap();
        let count = || Some(value.parse().unwrap());
        let span = || Some(value.parse().unwrap());
        match name {
            "last" => keep.last = count(),
            "hourly" => keep.hourly = count(),
            "daily" => keep.daily = count(),
            "weekly" => keep.weekly = count(),
            "monthly" => keep.monthly = count(),
            "yearly" => keep.yearly = count(),
            "within" => keep.within = span(),
            "within_hourly" => keep.within_hourly = span(),
            "within_daily" => keep.within_daily = span(),
            "within_weekly" => keep.within_weekly = span(),
            "within_monthly" => keep.within_monthly = span(),
            "within_yearly" => keep.within_yearly = span(),
            "tags" => keep.tags.push(value.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect()),
            _ => panic!("no rule {name}"),
        }
    }
    keep
}

fn id(number: usize) -> SnapshotId {
    let mut bytes = [0; SnapshotId::LEN];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    SnapshotId::from_bytes(bytes)
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn future() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().unwrap()
}

/// Checks one table: a line is a time, `[tags]` if any, and after `|` the reasons in order (none: it goes). Lines are
/// newest first; the decision gets them the other way round.
fn expect(rules: &str, zone_name: &str, now: Timestamp, table: &str) {
    let lines: Vec<&str> = table.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let mut candidates = Vec::new();
    let mut wanted = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let (facts, reasons) = line.split_once('|').unwrap();
        let (time, tags) = facts.trim().split_once(' ').unwrap_or((facts.trim(), ""));
        let tags = tags.trim().trim_matches(['[', ']']).split(',').filter(|tag| !tag.is_empty());
        let tags = tags.map(str::to_owned).collect();
        candidates.push(Candidate { id: id(number), time: time.parse().unwrap(), tags });
        wanted.push(reasons.trim());
    }
    candidates.reverse();
    let verdicts = decide(&candidates, &policy(rules), &zone(zone_name), now);
    for (number, (verdict, wanted)) in verdicts.iter().zip(&wanted).enumerate() {
        let reasons: Vec<String> = verdict.reasons.iter().map(Reason::to_string).collect();
        assert_eq!(reasons.join("; "), *wanted, "{rules}: {}", lines[number]);
        assert_eq!(verdict.id, id(number));
        assert_eq!(verdict.keep, !wanted.is_empty());
    }
    assert_eq!(verdicts.len(), lines.len());
}

#[test]
fn last_keeps_the_newest() {
    let table = "
        2026-01-04T00:00:00Z | last snapshot (1 of 2)
        2026-01-03T00:00:00Z | last snapshot (2 of 2)
        2026-01-02T00:00:00Z |
        2026-01-01T00:00:00Z |";
    expect("last=2", "UTC", future(), table);
}

#[test]
fn daily_keeps_the_newest_of_each_day_that_has_one() {
    let table = "
        2026-01-09T18:00:00Z | daily snapshot (1 of 2)
        2026-01-09T06:00:00Z |
        2026-01-03T18:00:00Z | daily snapshot (2 of 2)
        2026-01-03T06:00:00Z |
        2026-01-01T06:00:00Z |";
    expect("daily=2", "UTC", future(), table);
}

#[test]
fn a_slot_left_over_goes_to_the_oldest() {
    let table = "
        2026-01-03T18:00:00Z | daily snapshot (1 of 7); monthly snapshot (1 of 1)
        2026-01-03T06:00:00Z |
        2026-01-01T18:00:00Z | daily snapshot (2 of 7)
        2026-01-01T12:00:00Z |
        2026-01-01T06:00:00Z | oldest snapshot, daily slot left (3 of 7)";
    expect("daily=7 monthly=1", "UTC", future(), table);
    // The oldest is the newest of its day: one slot is enough.
    let table = "
        2026-01-03T18:00:00Z | daily snapshot (1, no limit)
        2026-01-01T06:00:00Z | daily snapshot (2, no limit)";
    expect("daily=unlimited", "UTC", future(), table);
}

#[test]
fn weeks_are_those_of_iso_8601() {
    // Monday 2025-12-29 begins week 1 of 2026.
    let table = "
        2026-01-05T12:00:00Z | weekly snapshot (1 of 4); yearly snapshot (1 of 2)
        2026-01-04T12:00:00Z | weekly snapshot (2 of 4)
        2025-12-29T12:00:00Z | yearly snapshot (2 of 2)
        2025-12-28T12:00:00Z | weekly snapshot (3 of 4)
        2025-12-22T12:00:00Z | oldest snapshot, weekly slot left (4 of 4)";
    expect("weekly=4 yearly=2", "UTC", future(), table);
}

#[test]
fn leap_days_are_days() {
    let table = "
        2024-03-01T00:00:00Z | daily snapshot (1 of 2); monthly snapshot (1 of 2)
        2024-02-29T00:00:00Z | daily snapshot (2 of 2); monthly snapshot (2 of 2)
        2024-02-28T00:00:00Z |";
    expect("daily=2 monthly=2", "UTC", future(), table);
    // A year before the leap day is the 28th at the same time of day, and that moment itself is outside.
    let table = "
        2024-02-29T12:00:00Z | within 1y of the newest
        2023-02-28T12:00:01Z | within 1y of the newest
        2023-02-28T12:00:00Z |";
    expect("within=1y", "UTC", future(), table);
}

#[test]
fn the_zone_says_which_day_it_is() {
    let times = "
        2026-06-02T21:30:00Z | @1
        2026-06-01T22:30:00Z | @2
        2026-06-01T21:30:00Z | @3";
    let utc = times.replace("@1", "daily snapshot (1 of 2)").replace("@2", "daily snapshot (2 of 2)").replace("@3", "");
    expect("daily=2", "UTC", future(), &utc);
    let berlin =
        times.replace("@1", "daily snapshot (1 of 2)").replace("@2", "").replace("@3", "daily snapshot (2 of 2)");
    expect("daily=2", "Europe/Berlin", future(), &berlin);
}

#[test]
fn the_hour_that_comes_twice_is_two_hours() {
    // On 2026-10-25 it is 02:30 in Berlin at 00:30 and again at 01:30 UTC.
    let table = "
        2026-10-25T01:40:00Z | hourly snapshot (1 of 3); daily snapshot (1 of 2)
        2026-10-25T01:30:00Z |
        2026-10-25T00:30:00Z | hourly snapshot (2 of 3)
        2026-10-24T23:30:00Z | hourly snapshot (3 of 3)
        2026-10-24T21:30:00Z | daily snapshot (2 of 2)";
    expect("hourly=3 daily=2", "Europe/Berlin", future(), table);
    // On 2026-03-29 there is no 02:30: 01:30 is followed by 03:30.
    let table = "
        2026-03-29T01:30:00Z | hourly snapshot (1 of 3)
        2026-03-29T00:30:00Z | hourly snapshot (2 of 3)
        2026-03-28T23:30:00Z | hourly snapshot (3 of 3)
        2026-03-28T22:30:00Z |";
    expect("hourly=3", "Europe/Berlin", future(), table);
}

#[test]
fn a_day_entered_twice_is_one_day() {
    // In St. John's, 2010-11-07 began at 02:30 UTC, and a minute later it was 23:01 on the 6th again.
    let table = "
        2010-11-07T04:00:00Z | daily snapshot (1 of 3)
        2010-11-07T02:45:00Z | daily snapshot (2 of 3)
        2010-11-07T02:30:30Z |
        2010-11-07T02:00:00Z |
        2010-11-05T12:00:00Z | daily snapshot (3 of 3)";
    expect("daily=3", "America/St_Johns", future(), table);
}

#[test]
fn within_is_measured_from_the_newest() {
    let table = "
        2026-03-31T12:00:00Z | within 1m of the newest; daily snapshot within 2m
        2026-03-31T11:00:00Z | within 1m of the newest
        2026-02-28T12:00:01Z | within 1m of the newest; daily snapshot within 2m
        2026-02-28T12:00:00Z |
        2026-02-01T12:00:00Z | daily snapshot within 2m
        2026-02-01T06:00:00Z |
        2026-01-31T12:00:00Z |";
    expect("within=1m within_daily=2m", "UTC", future(), table);
    let table = "
        2026-03-31T12:00:00Z | hourly snapshot within 1d; weekly snapshot within 2w; \
            monthly snapshot within 1y; yearly snapshot within 2y
        2026-03-30T12:00:01Z | hourly snapshot within 1d
        2026-03-30T11:00:00Z |
        2026-03-29T12:00:00Z | weekly snapshot within 2w
        2026-02-28T12:00:00Z | monthly snapshot within 1y
        2025-12-31T12:00:00Z | monthly snapshot within 1y; yearly snapshot within 2y
        2024-03-31T12:00:00Z |";
    expect("within_hourly=1d within_weekly=2w within_monthly=1y within_yearly=2y", "UTC", future(), table);
}

#[test]
fn a_snapshot_from_the_future_is_no_measure() {
    let table = "
        2099-01-01T00:00:00Z | within 7d of the newest
        2026-03-31T12:00:00Z | within 7d of the newest
        2026-03-30T12:00:00Z | within 7d of the newest
        2026-03-24T12:00:00Z |";
    expect("within=7d", "UTC", "2026-03-31T12:00:00Z".parse().unwrap(), table);
    let table = "
        2099-01-01T00:00:00Z | within 7d of the newest
        2098-01-01T00:00:00Z | within 7d of the newest";
    expect("within=7d", "UTC", "2026-03-31T12:00:00Z".parse().unwrap(), table);
}

#[test]
fn tags_keep_what_carries_all_of_a_set() {
    let table = "
        2026-01-05T00:00:00Z [b,a,c] | has the tags a,b; has the tags c
        2026-01-04T00:00:00Z [a]     |
        2026-01-03T00:00:00Z [c]     | has the tags c
        2026-01-02T00:00:00Z         |";
    expect("tags=a,b tags=c", "UTC", future(), table);
    expect("tags=", "UTC", future(), "2026-01-05T00:00:00Z [a] | no tag is asked for");
}

#[test]
fn an_empty_policy_keeps_everything() {
    let table = "
        2026-01-05T00:00:00Z | no rule is given
        2026-01-01T00:00:00Z | no rule is given";
    expect("", "UTC", future(), table);
    expect("daily=0", "UTC", future(), table);
    assert!(decide(&[], &policy(""), &TimeZone::UTC, future()).is_empty());
}

#[test]
fn snapshots_of_one_moment_stand_by_id() {
    let table = "
        2026-01-05T00:00:00Z | last snapshot (1 of 2); daily snapshot (1 of 1)
        2026-01-05T00:00:00Z | last snapshot (2 of 2)
        2026-01-05T00:00:00Z |";
    expect("last=2 daily=1", "UTC", future(), table);
}

#[test]
fn rules_that_match_nothing_are_noticed() {
    let candidates = [Candidate { id: id(0), time: Timestamp::UNIX_EPOCH, tags: vec![] }];
    let verdicts = |rules| decide(&candidates, &policy(rules), &TimeZone::UTC, future());
    assert!(removes_all(&verdicts("tags=a")));
    assert!(!removes_all(&verdicts("tags=a last=1")));
    assert!(!removes_all(&[]));
}

#[test]
fn verdicts_serialize_with_their_words() {
    let candidates = [Candidate { id: id(0), time: Timestamp::UNIX_EPOCH, tags: vec![] }];
    let verdicts = decide(&candidates, &policy("daily=7"), &TimeZone::UTC, future());
    let json = serde_json::json!([{"id": id(0).to_string(), "keep": true, "reasons": ["daily snapshot (1 of 7)"]}]);
    assert_eq!(serde_json::to_value(verdicts).unwrap(), json);
}

#[test]
fn a_year_of_nightly_backups() {
    let table = include_str!("year.txt");
    expect("daily=7 weekly=5 monthly=12 yearly=5", "Europe/Berlin", future(), table);
    let kept = table.lines().filter(|line| !line.starts_with('#') && !line.ends_with('|')).count();
    // Seven days, three Sundays before them, eleven ends of a month before this one, and the beginning.
    assert_eq!(kept, 7 + 3 + 11 + 1);
}

/// What a person would do with a calendar and a pencil; by index into `candidates`, which are newest first.
fn model(candidates: &[Candidate], keep: &Keep, zone: &TimeZone, now: Timestamp) -> BTreeSet<usize> {
    let all = 0..candidates.len();
    if keep.is_empty() {
        return all.collect();
    }
    let label = |format: &str, index: usize| match format {
        "" => index.to_string(),
        _ => candidates[index].time.to_zoned(zone.clone()).strftime(format).to_string(),
    };
    let newest_of_each = |format: &str| -> Vec<usize> {
        let is_newest = |index: &usize| (0..*index).all(|newer| label(format, newer) != label(format, *index));
        all.clone().filter(is_newest).collect()
    };
    let formats = ["", "%Y-%m-%d %H %z", "%Y-%m-%d", "%G-W%V", "%Y-%m", "%Y"];
    let mut kept = BTreeSet::new();
    for ((_, count), format) in keep.counts().into_iter().zip(formats) {
        let limit = match count {
            None => 0,
            Some(Count::Limit(limit)) => limit as usize,
            Some(Count::Unlimited) => usize::MAX,
        };
        let newest = newest_of_each(format);
        kept.extend(newest.iter().take(limit).copied());
        if newest.len() < limit {
            kept.extend(all.clone().last());
        }
    }
    let newest = candidates.iter().map(|candidate| candidate.time).filter(|time| *time <= now).max();
    let is_inside =
        |index: &usize, span: super::Span| newest.is_none_or(|from| candidates[*index].time > span.before(from, zone));
    if let Some(span) = keep.within {
        kept.extend(all.clone().filter(|index| is_inside(index, span)));
    }
    for ((_, span), format) in keep.spans().into_iter().zip(&formats[1..]) {
        if let Some(span) = span {
            kept.extend(newest_of_each(format).into_iter().filter(|index| is_inside(index, span)));
        }
    }
    let carries = |index: &usize, set: &Vec<String>| set.iter().all(|tag| candidates[*index].tags.contains(tag));
    kept.extend(all.filter(|index| keep.tags.iter().any(|set| carries(index, set))));
    kept
}

fn tag_set() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(proptest::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]), 0..3)
}

/// Newest first. The times stand thick around the turns of the clock of autumn 2010 or thin over three years, never
/// inside the single minute of the 7th of November that St. John's had twice.
fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let quarter_hours = proptest::prop_oneof![0_i64..3 * 24 * 4, 0_i64..3 * 365 * 24 * 4];
    let facts = (proptest::collection::vec(quarter_hours, 0..40), proptest::collection::vec(tag_set(), 40));
    facts.prop_map(|(mut quarters, tags)| {
        quarters.sort_unstable_by(|a, b| b.cmp(a));
        let start: Timestamp = "2010-11-06T00:05:00Z".parse().unwrap();
        let time = |quarters: i64| start + SignedDuration::from_secs(quarters * 900);
        let facts = quarters.into_iter().zip(tags).enumerate();
        facts.map(|(number, (quarters, tags))| Candidate { id: id(number), time: time(quarters), tags }).collect()
    })
}

fn keep() -> impl Strategy<Value = Keep> {
    let count = || {
        proptest::option::of(proptest::prop_oneof![
            4 => (0_u32..6).prop_map(Count::Limit),
            1 => Just(Count::Unlimited),
        ])
    };
    let counts = (count(), count(), count(), count(), count(), count());
    let span = || proptest::option::weighted(0.3, "[1-9][hdwm]|[12]y|1m[1-9]d[1-9]h".prop_map(|t| t.parse().unwrap()));
    let spans = (span(), span(), span(), span(), span(), span());
    let tags = proptest::collection::vec(tag_set(), 0..2);
    (counts, spans, tags).prop_map(|(counts, spans, tags)| Keep {
        last: counts.0,
        hourly: counts.1,
        daily: counts.2,
        weekly: counts.3,
        monthly: counts.4,
        yearly: counts.5,
        within: spans.0,
        within_hourly: spans.1,
        within_daily: spans.2,
        within_weekly: spans.3,
        within_monthly: spans.4,
        within_yearly: spans.5,
        tags,
    })
}

fn any_zone() -> impl Strategy<Value = TimeZone> {
    const NAMES: [&str; 5] = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe"];
    proptest::sample::select(&NAMES[..]).prop_map(zone)
}

fn present() -> impl Strategy<Value = Timestamp> {
    (0_i64..4 * 365).prop_map(|days| {
        let start: Timestamp = "2010-11-01T00:00:00Z".parse().unwrap();
        start + SignedDuration::from_hours(days * 24)
    })
}

fn kept(verdicts: &[Verdict]) -> BTreeSet<usize> {
    verdicts.iter().enumerate().filter(|(_, verdict)| verdict.keep).map(|(number, _)| number).collect()
}

proptest::proptest! {
    #[test]
    fn agrees_with_the_model(list in candidates(), keep in keep(), zone in any_zone(), now in present()) {
        let verdicts = decide(&list, &keep, &zone, now);
        prop_assert_eq!(verdicts.len(), list.len());
        for (verdict, candidate) in verdicts.iter().zip(&list) {
            prop_assert_eq!(verdict.id, candidate.id);
            prop_assert_eq!(verdict.keep, !verdict.reasons.is_empty());
        }
        prop_assert_eq!(kept(&verdicts), model(&list, &keep, &zone, now));
    }

    #[test]
    fn order_of_input_does_not_matter(
        (list, shuffled) in candidates().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        keep in keep(),
        zone in any_zone(),
        now in present(),
    ) {
        prop_assert_eq!(decide(&list, &keep, &zone, now), decide(&shuffled, &keep, &zone, now));
    }

    #[test]
    fn last_keeps_exactly_as_many(list in candidates(), limit in 1_u32..50, zone in any_zone(), now in present()) {
        let keep = Keep { last: Some(Count::Limit(limit)), ..Keep::default() };
        prop_assert_eq!(kept(&decide(&list, &keep, &zone, now)).len(), list.len().min(limit as usize));
    }

    #[test]
    fn rules_of_time_never_remove_all(list in candidates(), keep in keep(), zone in any_zone(), now in present()) {
        let keep = Keep { tags: vec![], ..keep };
        prop_assert!(!removes_all(&decide(&list, &keep, &zone, now)));
    }

    #[test]
    fn deciding_again_removes_nothing_more(list in candidates(), keep in keep(), zone in any_zone(), now in present()) {
        let verdicts = decide(&list, &keep, &zone, now);
        let rest: Vec<Candidate> = kept(&verdicts).into_iter().map(|index| list[index].clone()).collect();
        prop_assert!(decide(&rest, &keep, &zone, now).iter().all(|verdict| verdict.keep));
    }
}
