//! When an entry is due by the clock: cron expressions in a time zone. Reads no clock and runs nothing.
//!
//! The expression speaks of what a clock on the wall shows. A time that the clock skips in spring counts as soon as it
//! has been skipped, one that it shows twice in autumn counts the first time; so what is daily is never left out and
//! never doubled. Only where every hour is meant does the repeated hour count again, lest there be an hour without.

use super::words::shown;
use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

/// Why a schedule or its time zone cannot be used; one sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "the schedule {} has {}, but five are wanted (minute, hour, day of month, month, day of week), such as \
         '30 2 * * *' for half past two every night", shown(expression), fields(*.found)
    )]
    FieldCount { expression: String, found: usize },
    #[error("the {field} {} of the schedule {} is wrong; give {wanted}", shown(text), shown(expression))]
    Field { expression: String, field: &'static str, text: String, wanted: &'static str },
    #[error(
        "the schedule {} is not known; give five fields, or one of @hourly, @daily, @weekly, @monthly and @yearly",
        shown(expression)
    )]
    UnknownName { expression: String },
    #[error(
        "the schedule {} never comes, because no month it names has the day it names; give a day that exists",
        shown(expression)
    )]
    Never { expression: String },
    #[error("the time zone {} is not known; give one such as Europe/Berlin or UTC", shown(name))]
    UnknownZone { name: String },
    #[error(
        "the time zone {} cannot be looked up, because this machine has no list of time zones; install its package tzdata",
        shown(name)
    )]
    NoZones { name: String },
}

fn fields(count: usize) -> String {
    match count {
        0 => "no field".to_owned(),
        1 => "one field".to_owned(),
        _ => format!("{count} fields"),
    }
}

/// A field: its name, what may stand in it, the words it knows.
struct Field {
    name: &'static str,
    wanted: &'static str,
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", wanted: "numbers from 0 to 59, as in 30, 0,30, 0-29, */15 or *", words: &[] },
    Field { name: "hour", wanted: "numbers from 0 to 23, as in 2, 8,20, 8-18, */6 or *", words: &[] },
    Field { name: "day of month", wanted: "numbers from 1 to 31, as in 1, 1,15, 1-7, */2 or *", words: &[] },
    Field {
        name: "month",
        wanted: "numbers from 1 to 12 or JAN to DEC, as in 1, JAN,JUL, 4-9, */3 or *",
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    Field {
        name: "day of week",
        wanted: "numbers from 0 to 7 (0 and 7 are Sunday) or SUN to SAT, as in 0, MON,THU, MON-FRI or *",
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

const NAMED: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// How far one search of the library goes: four years.
const SPAN: SignedDuration = SignedDuration::from_hours(1461 * 24);
/// How many searches find whatever there is: a 29th of February on a certain day of the week comes within 40 years.
const SPANS: i32 = 11;
/// In the year 9900, so far from the end of all time that no search runs into it.
const LATEST: Timestamp = Timestamp::constant(250_250_000_000, 0);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    expression: String,
    /// Speaks of the clock on the wall: its timestamps are what that shows, taken for UTC.
    wall: Crontab,
    zone: TimeZone,
    is_every_hour: bool,
}

impl Schedule {
    /// Five fields of numbers, names (`MON`, `JAN`), lists, ranges and steps, or a name such as `@daily`. Where both days
    /// are restricted, either suffices, as for cron.
    pub fn parse(expression: &str, zone: &TimeZone) -> Result<Self, ScheduleError> {
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let spelt_out = match NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(&expression)) {
            Some((_, fields)) => fields,
            None if expression.starts_with('@') => return Err(ScheduleError::UnknownName { expression }),
            None => expression.as_str(),
        };
        let texts: Vec<&str> = spelt_out.split_whitespace().collect();
        if texts.len() != FIELDS.len() {
            return Err(ScheduleError::FieldCount { found: texts.len(), expression });
        }
        let wrong = |field: &Field, text: &str| ScheduleError::Field {
            expression: expression.clone(),
            field: field.name,
            text: text.to_owned(),
            wanted: field.wanted,
        };
        for (index, (field, text)) in FIELDS.iter().zip(&texts).enumerate() {
            let mut alone = ["*"; FIELDS.len()];
            alone[index] = text;
            if !field.is_plain(text) || parse_crontab(&format!("{} UTC", alone.join(" "))).is_err() {
                return Err(wrong(field, text));
            }
        }
        let wall = parse_crontab(&format!("{} UTC", texts.join(" "))).map_err(|_| wrong(&FIELDS[0], texts[0]))?;
        let is_every_hour = ["*", "*/1", "0-23"].contains(&texts[1]);
        let schedule = Self { expression: expression.clone(), wall, zone: zone.clone(), is_every_hour };
        match schedule.next_shown_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never { expression }),
        }
    }

    /// As it was written, with single spaces.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first scheduled moment after this one; none if that is thousands of years away.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let first = self.next_first(moment);
        let again = if self.is_every_hour { self.next_matching(moment) } else { None };
        first.into_iter().chain(again).min()
    }

    /// The last scheduled moment up to and including this one. Whoever has not succeeded since then is due.
    pub fn last_before_or_at(&self, moment: Timestamp) -> Option<Timestamp> {
        let is_past = |found: &Timestamp| *found <= moment;
        // What comes often is found nearby, what comes seldom takes a wider look: up to 127 years.
        let spans = (0..14).map(|power| SignedDuration::from_mins(4_i64.pow(power)));
        let mut starts = spans.map_while(|span| moment.checked_sub(span).ok());
        let mut last = starts.find_map(|start| self.next_after(start).filter(is_past))?;
        let mut end = moment;
        while let Some(next) = self.next_after(last).filter(is_past) {
            last = next;
            let middle = last.checked_add(end.duration_since(last) / 2).ok()?;
            match self.next_after(middle).filter(is_past) {
                Some(found) => last = found,
                None => end = middle,
            }
        }
        Some(last)
    }

    /// The next of the moments at which the clock for the first time shows a time that matches, or a later one.
    fn next_first(&self, after: Timestamp) -> Option<Timestamp> {
        let mut shown = self.zone.to_datetime(after);
        loop {
            shown = self.next_shown_after(shown)?;
            let moment = self.first_moment(shown)?;
            // Not so where the clock has been set back and shows again what it has shown.
            if moment > after {
                return Some(moment);
            }
        }
    }

    /// The next moment at which the clock shows a time that matches, whether it has shown it before or not.
    fn next_matching(&self, after: Timestamp) -> Option<Timestamp> {
        let mut changes = self.zone.following(after);
        let mut offset = self.zone.to_offset(after);
        let mut shown = offset.to_datetime(after);
        loop {
            let next = offset.to_timestamp(self.next_shown_after(shown)?).ok()?;
            match changes.next() {
                Some(change) if change.timestamp() <= next => {
                    offset = change.offset();
                    // What the clock is set to counts too.
                    shown = offset.to_datetime(change.timestamp()).checked_sub(SignedDuration::from_secs(1)).ok()?;
                }
                _ => return Some(next),
            }
        }
    }

    /// When the clock first shows this time, or a later one.
    fn first_moment(&self, shown: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(shown).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(shown).ok(),
            AmbiguousOffset::Gap { after, .. } => {
                let before_the_gap = after.to_timestamp(shown).ok()?;
                Some(self.zone.following(before_the_gap).next()?.timestamp())
            }
        }
    }

    /// The next time that matches on a clock that is never set.
    fn next_shown_after(&self, shown: DateTime) -> Option<DateTime> {
        let start = TimeZone::UTC.to_timestamp(shown).ok()?;
        let starts = (0..SPANS).filter_map(|spans| start.checked_add(SPAN * spans).ok());
        let mut found = starts.take_while(|start| *start < LATEST);
        found.find_map(|start| self.wall.find_next(MakeTimestamp(start)).ok()).map(|zoned| zoned.datetime())
    }
}

impl Field {
    /// Whether there is nothing in it but what cron knows: the library's own additions are not ours.
    fn is_plain(&self, text: &str) -> bool {
        let is_word = |word: &str| self.words.iter().any(|known| known.eq_ignore_ascii_case(word));
        let mut parts = text.split([',', '-', '/']);
        parts.all(|part| part == "*" || part.bytes().all(|byte| byte.is_ascii_digit()) || is_word(part))
    }
}

/// The time zone of this name, or this machine's if none is named.
pub fn zone(name: Option<&str>, system: &TimeZone) -> Result<TimeZone, ScheduleError> {
    name.map_or(Ok(system.clone()), |name| find_zone(name, jiff::tz::db()))
}

fn find_zone(name: &str, zones: &TimeZoneDatabase) -> Result<TimeZone, ScheduleError> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    let name = name.to_owned();
    zones.get(&name).map_err(|_| match zones.is_definitively_empty() {
        true => ScheduleError::NoZones { name },
        false => ScheduleError::UnknownZone { name },
    })
}

#[cfg(test)]
mod tests;
