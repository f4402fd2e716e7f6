//! Durations as people write them.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::time::Duration;

/// `90s`, `30m`, `2h`, `1h 30m` or `3d`, the day having 24 hours; a number without a unit is none.
pub fn parse(text: &str) -> Result<Duration, String> {
    let signed = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let duration = signed.ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| format!("'{text}' is no duration; give one such as 90s, 30m, 2h or 3d"))
}

/// The same, but not none at all.
pub fn parse_some(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err(format!("'{text}' leaves no time at all; give a duration such as 90s, 30m, 2h or 3d"));
    }
    Ok(duration)
}

/// As it can be read again, with days: `3d`, `1h 30m`.
pub fn short(duration: Duration) -> String {
    let days = duration.as_secs() / 86_400;
    let rest = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    let rest = rest.saturating_sub(SignedDuration::from_hours(i64::try_from(days).unwrap_or(0).saturating_mul(24)));
    match (days, rest.is_zero()) {
        (0, _) => format!("{rest:#}"),
        (_, true) => format!("{days}d"),
        (_, false) => format!("{days}d {rest:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, seconds) in
            [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h 30m", 5400), ("36h", 129_600), ("3d", 259_200), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
            assert_eq!(parse(&short(Duration::from_secs(seconds))), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "5", "-5s", "5 parsecs", "s", "1 month", "99999999999d"] {
            assert!(parse(bad).unwrap_err().contains("30m"), "{bad}");
            assert!(parse_some(bad).unwrap_err().contains("30m"), "{bad}");
        }
        assert_eq!(parse_some("20s"), Ok(Duration::from_secs(20)));
        assert!(parse_some("0s").unwrap_err().contains("no time"));
        assert_eq!(short(Duration::from_secs(5400)), "1h 30m");
        assert_eq!(short(Duration::from_secs(86_400 * 2 + 3600)), "2d 1h");
    }
}
