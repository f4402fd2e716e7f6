//! Whether something is due, as a pure decision with its reason.

use crate::config::Schedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// How long a job that has failed is left alone, unless its schedule says so sooner: somebody is told each time.
const AFTER_FAILURE: SignedDuration = SignedDuration::from_hours(1);

/// How long somebody who was told that the config says something of a job that cannot be is left alone.
const AFTER_REFUSAL: SignedDuration = SignedDuration::from_hours(24);

/// When what was done last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    pub success: Option<Timestamp>,
    /// Also one that failed.
    pub begun: Option<Timestamp>,
}

/// Due or not; why.
pub(super) fn judge(
    schedule: Option<&Schedule>,
    zone: &TimeZone,
    last: Last,
    now: Timestamp,
) -> Result<String, String> {
    let local = |time: Timestamp| time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
    let Some(schedule) = schedule else { return Ok("it has no schedule".to_owned()) };
    let scheduled = schedule.last_before_or_at(now);
    let failed = last.begun.filter(|begun| last.success.is_none_or(|success| success < *begun));
    if let Some(failed) = failed {
        let again = failed.saturating_add(AFTER_FAILURE).unwrap_or(Timestamp::MAX);
        if now < again && scheduled.is_none_or(|scheduled| scheduled <= failed) {
            let next = schedule.next_after(now).map_or(again, |next| next.min(again));
            return Err(format!("it failed at {} and is tried again from {}", local(failed), local(next)));
        }
    }
    let Some(success) = last.success else { return Ok("it was never backed up".to_owned()) };
    match scheduled {
        Some(scheduled) if success < scheduled => {
            Ok(format!("it was due at {}, the last success is of {}", local(scheduled), local(success)))
        }
        _ => Err(match schedule.next_after(now) {
            Some(next) => format!("it is not due before {}", local(next)),
            None => "its schedule does not come again".to_owned(),
        }),
    }
}

/// Whether it is time to tell again that a job is refused; if not, why.
pub(super) fn judge_refusal(zone: &TimeZone, last: Last, now: Timestamp) -> Result<(), String> {
    let Some(told) = last.begun else { return Ok(()) };
    let again = told.saturating_add(AFTER_REFUSAL).unwrap_or(Timestamp::MAX);
    let local = again.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M");
    if now < again { Err(format!("the config is wrong about it, which is told again from {local}")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-{text}:00Z").parse().unwrap()
    }

    fn judge_at(now: &str, success: Option<&str>, begun: Option<&str>) -> Result<String, String> {
        let schedule = Schedule::parse("0 2 * * *", &TimeZone::UTC).unwrap();
        let last = Last { success: success.map(at), begun: begun.or(success).map(at) };
        judge(Some(&schedule), &TimeZone::UTC, last, at(now))
    }

    #[test]
    fn due_once_after_each_scheduled_moment() {
        assert!(judge_at("05T01:59", Some("04T02:00"), None).unwrap_err().contains("before 2026-03-05 02:00"));
        assert!(judge_at("05T02:00", Some("04T02:00"), None).unwrap().contains("due at 2026-03-05 02:00"));
        assert!(judge_at("05T02:00", Some("05T02:00"), None).is_err());
        // The machine was off for days.
        assert!(judge_at("09T17:00", Some("04T02:00"), None).unwrap().contains("due at 2026-03-09 02:00"));
        assert!(judge_at("05T01:00", None, None).unwrap().contains("never"));
        let last = Last::default();
        assert!(judge(None, &TimeZone::UTC, last, at("05T02:00")).is_ok());
    }

    #[test]
    fn what_is_wrong_in_the_config_is_told_once_a_day() {
        let judge_at = |now: &str, told: Option<&str>| {
            judge_refusal(&TimeZone::UTC, Last { success: None, begun: told.map(at) }, at(now))
        };
        assert!(judge_at("05T02:00", None).is_ok() && judge_at("06T02:00", Some("05T02:00")).is_ok());
        assert!(judge_at("06T01:59", Some("05T02:00")).unwrap_err().contains("from 2026-03-06 02:00"));
    }

    #[test]
    fn what_failed_is_left_alone_for_a_while() {
        let failed = "05T02:05";
        assert!(
            judge_at("05T02:10", Some("04T02:00"), Some(failed)).unwrap_err().contains("again from 2026-03-05 03:05")
        );
        assert!(judge_at("05T02:10", None, Some(failed)).is_err());
        assert!(judge_at("05T03:05", Some("04T02:00"), Some(failed)).is_ok());
        assert!(judge_at("05T02:00", Some("04T02:00"), Some("05T01:30")).is_ok());
    }
}
