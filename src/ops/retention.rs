//! Which snapshots of a group stay and which go, as a pure decision: snapshots, rules, time zone and the present come
//! in, a verdict with its reasons comes out for every snapshot. Deletes nothing, reads no clock, knows no store.
//!
//! The rules mean what users of restic expect. Snapshots are looked at from the newest to the oldest:
//!
//! * *last* keeps the first n; *hourly* to *yearly* keep the newest snapshot of each hour, day, ISO week, month or year
//!   that has one, until n are kept. Periods without a snapshot use up nothing.
//! * The oldest snapshot is kept by every such rule that still has a slot left, so that a young history keeps its start.
//! * *within* keeps all that are younger than a span measured back from the newest snapshot, so a machine that was off
//!   for a year loses nothing when it returns. *within hourly* to *within yearly* keep one per period inside the span.
//! * *tags* keeps every snapshot that carries all tags of one of the sets.
//!
//! A snapshot stays if any rule keeps it. Periods and spans follow the calendar of the given time zone; the hour that
//! comes twice at the end of summer time counts as two.
//!
//! An empty policy keeps everything: whoever calls refuses one where a person must have meant something else, and asks
//! [`removes_all`] before acting on a policy whose rules matched nothing.

mod group;
mod keep;
mod span;
#[cfg(test)]
mod tests;

pub use group::{Facts, GroupBy, GroupKey, ParseGroupByError, group};
pub use keep::{Count, Keep, ParseCountError};
pub use span::{ParseSpanError, Span};

use crate::base::SnapshotId;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use std::fmt;

/// What the decision needs to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: SnapshotId,
    pub time: Timestamp,
    pub tags: Vec<String>,
}

/// What becomes of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub id: SnapshotId,
    /// True if and only if there is a reason.
    pub keep: bool,
    /// Every rule that keeps it; empty if none does.
    pub reasons: Vec<Reason>,
}

/// The rules that look at periods of time, and *last*, for which every snapshot is a period of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    Last,
    Hourly,
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Rule {
    /// The word used in options, settings and reasons.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Last => "last",
            Rule::Hourly => "hourly",
            Rule::Daily => "daily",
            Rule::Weekly => "weekly",
            Rule::Monthly => "monthly",
            Rule::Yearly => "yearly",
        }
    }

    /// A number that is equal for two times of the same period and smaller for an earlier period; `None` if every
    /// snapshot stands for itself.
    fn period(self, time: Timestamp, zone: &TimeZone) -> Option<i64> {
        let date = zone.to_datetime(time).date();
        let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        match self {
            Rule::Last => None,
            Rule::Hourly => {
                // The start of the local hour as an instant, so that an hour that comes twice is two periods.
                let second = time.as_second();
                let into_hour = (second + i64::from(zone.to_offset(time).seconds())).rem_euclid(3600);
                Some(second - into_hour)
            }
            Rule::Daily => Some(year * 10_000 + month * 100 + day),
            Rule::Weekly => {
                let week = date.iso_week_date();
                Some(i64::from(week.year()) * 100 + i64::from(week.week()))
            }
            Rule::Monthly => Some(year * 100 + month),
            Rule::Yearly => Some(year),
        }
    }
}

/// Why a snapshot stays. Prints, and serializes, as a phrase such as `daily snapshot (2 of 7)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The policy is empty.
    NoRules,
    /// It carries all tags of this set.
    Tags(Vec<String>),
    /// It is younger than the span, measured from the newest.
    Within(Span),
    /// It is the newest of its period, and takes the `nth` slot (from 1) of the rule.
    Slot { rule: Rule, nth: u64, of: Count },
    /// It is the oldest of all, and the rule had a slot left.
    Oldest { rule: Rule, nth: u64, of: Count },
    /// It is the newest of its period inside the span.
    PeriodWithin { rule: Rule, span: Span },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = |nth: &u64, of: &Count| match of {
            Count::Limit(limit) => format!("{nth} of {limit}"),
            Count::Unlimited => format!("{nth}, no limit"),
        };
        match self {
            Reason::NoRules => f.write_str("no rule is given"),
            Reason::Tags(tags) if tags.is_empty() => f.write_str("no tag is asked for"),
            Reason::Tags(tags) => write!(f, "has the tags {}", tags.join(",")),
            Reason::Within(span) => write!(f, "within {span} of the newest"),
            Reason::Slot { rule, nth, of } => write!(f, "{} snapshot ({})", rule.name(), slot(nth, of)),
            Reason::Oldest { rule, nth, of } => {
                write!(f, "oldest snapshot, {} slot left ({})", rule.name(), slot(nth, of))
            }
            Reason::PeriodWithin { rule, span } => write!(f, "{} snapshot within {span}", rule.name()),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Decides about the snapshots of one group. Gives one verdict per snapshot, newest first, those of one moment by id,
/// whatever the order of the input.
///
/// A snapshot later than `now` (written under a wrong clock) is never what *within* measures from: it would push all
/// others out of the span. If all are later, *within* keeps all.
pub fn decide(snapshots: &[Candidate], keep: &Keep, zone: &TimeZone, now: Timestamp) -> Vec<Verdict> {
    let mut ordered: Vec<&Candidate> = snapshots.iter().collect();
    ordered.sort_unstable_by(|a, b| b.time.cmp(&a.time).then(a.id.cmp(&b.id)));

    let newest = ordered.iter().map(|candidate| candidate.time).find(|time| *time <= now);
    let start = |span: Span| newest.map_or(Timestamp::MIN, |time| span.before(time, zone));
    let within = keep.within.map(|span| (span, start(span)));
    let mut slots: Vec<Slots> = keep.counts().into_iter().filter_map(|(rule, of)| Slots::new(rule, of)).collect();
    let mut spans: Vec<PeriodsWithin> = (keep.spans().into_iter())
        .filter_map(|(rule, span)| span.map(|span| PeriodsWithin { rule, span, start: start(span), last: None }))
        .collect();

    let mut verdicts = Vec::with_capacity(ordered.len());
    for (nth, candidate) in ordered.iter().enumerate() {
        let time = candidate.time;
        let is_oldest = nth + 1 == ordered.len();
        let mut reasons = Vec::new();
        if keep.is_empty() {
            reasons.push(Reason::NoRules);
        }
        let carried = keep.tags.iter().filter(|set| set.iter().all(|tag| candidate.tags.contains(tag)));
        reasons.extend(carried.map(|set| Reason::Tags(set.clone())));
        reasons.extend(within.filter(|(_, start)| time > *start).map(|(span, _)| Reason::Within(span)));
        reasons.extend(slots.iter_mut().filter_map(|slots| slots.take(time, zone, is_oldest)));
        reasons.extend(spans.iter_mut().filter_map(|periods| periods.take(time, zone)));
        verdicts.push(Verdict { id: candidate.id, keep: !reasons.is_empty(), reasons });
    }
    verdicts
}

/// Whether there are snapshots and none of them stays: hardly ever what was meant.
pub fn removes_all(verdicts: &[Verdict]) -> bool {
    !verdicts.is_empty() && verdicts.iter().all(|verdict| !verdict.keep)
}

/// A counted rule while snapshots pass by, newest first.
struct Slots {
    rule: Rule,
    of: Count,
    used: u64,
    last: Option<i64>,
}

impl Slots {
    /// `None` if the rule is not in the policy.
    fn new(rule: Rule, of: Option<Count>) -> Option<Self> {
        of.map(|of| Self { rule, of, used: 0, last: None })
    }

    fn take(&mut self, time: Timestamp, zone: &TimeZone, is_oldest: bool) -> Option<Reason> {
        if let Count::Limit(limit) = self.of
            && self.used >= u64::from(limit)
        {
            return None;
        }
        let is_new = enters_period(&mut self.last, self.rule.period(time, zone));
        if !is_new && !is_oldest {
            return None;
        }
        self.used += 1;
        let (rule, nth, of) = (self.rule, self.used, self.of);
        Some(if is_new { Reason::Slot { rule, nth, of } } else { Reason::Oldest { rule, nth, of } })
    }
}

/// A rule that keeps one snapshot per period inside a span, while snapshots pass by, newest first.
struct PeriodsWithin {
    rule: Rule,
    span: Span,
    start: Timestamp,
    last: Option<i64>,
}

impl PeriodsWithin {
    fn take(&mut self, time: Timestamp, zone: &TimeZone) -> Option<Reason> {
        let is_kept = time > self.start && enters_period(&mut self.last, self.rule.period(time, zone));
        is_kept.then_some(Reason::PeriodWithin { rule: self.rule, span: self.span })
    }
}

/// Whether `period` is earlier than all before it, and notes it. "Earlier" and not "other": a clock set back over
/// midnight shows a day twice, and it is one day still.
fn enters_period(last: &mut Option<i64>, period: Option<i64>) -> bool {
    let Some(period) = period else { return true };
    if last.is_some_and(|last| period >= last) {
        return false;
    }
    *last = Some(period);
    true
}
