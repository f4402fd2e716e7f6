//! Spans of calendar time as people write them: `2y5m7d3h`, `30d`, `2w`. Knows no policy.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The units, in the order in which a span is printed.
const UNITS: [char; 5] = ['y', 'm', 'w', 'd', 'h'];

/// Years, months, weeks, days and hours; never nothing at all. Two spans are equal if they are written alike: `7d` is
/// not `1w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// One number per unit of [`UNITS`].
    amounts: [u32; UNITS.len()],
}

impl Span {
    /// The moment that lies this span before `time` on the calendar of `zone`: first years and months (a day that the
    /// month does not have becomes its last), then weeks and days at the same time of day, then hours as they pass. The
    /// earliest moment there is if the span reaches beyond it.
    pub fn before(self, time: Timestamp, zone: &TimeZone) -> Timestamp {
        self.try_before(time, zone).unwrap_or(Timestamp::MIN)
    }

    /// Fails only where the span or the result is beyond the calendar.
    fn try_before(self, time: Timestamp, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
        let [years, months, weeks, days, hours] = self.amounts;
        let span = jiff::Span::new()
            .try_years(years)?
            .try_months(months)?
            .try_weeks(weeks)?
            .try_days(days)?
            .try_hours(hours)?;
        Ok(time.to_zoned(zone.clone()).checked_sub(span)?.timestamp())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.amounts.iter().zip(UNITS).filter(|(amount, _)| **amount != 0);
        given.into_iter().try_for_each(|(amount, unit)| write!(f, "{amount}{unit}"))
    }
}

/// A text that is not a span of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a span of time such as 30d, 48h or 1y6m: {what}")]
pub struct ParseSpanError {
    text: String,
    what: String,
}

impl FromStr for Span {
    type Err = ParseSpanError;

    /// Numbers, each followed by one of `y m w d h`, each unit at most once, in any order.
    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        parse(text).map_err(|what| ParseSpanError { text: text.to_owned(), what })
    }
}

/// The error is the second half of a sentence.
fn parse(text: &str) -> Result<Span, String> {
    let mut amounts: [Option<u32>; UNITS.len()] = [None; UNITS.len()];
    let mut rest = text;
    while !rest.is_empty() {
        let number = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let mut after = rest[number.len()..].chars();
        let unit = after.next();
        rest = after.as_str();
        let Some(unit) = unit else { return Err(format!("{number} has no unit")) };
        if number.is_empty() {
            return Err(format!("a number is wanted before '{unit}'"));
        }
        let known = UNITS.iter().zip(&mut amounts).find(|(known, _)| **known == unit);
        let Some((_, amount)) = known else {
            return Err(format!("'{unit}' is not one of the units y, m, w, d and h"));
        };
        let value = number.parse().map_err(|_| format!("{number} is too large"))?;
        if amount.replace(value).is_some() {
            return Err(format!("'{unit}' is given twice"));
        }
    }
    let amounts = amounts.map(Option::unwrap_or_default);
    if amounts.iter().all(|amount| *amount == 0) {
        return Err("it is empty".to_owned());
    }
    Ok(Span { amounts })
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, prop_assert_eq};

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    fn before(text: &str, time: &str, zone: &str) -> String {
        let zone = TimeZone::get(zone).unwrap();
        span(text).before(time.parse().unwrap(), &zone).to_zoned(zone).strftime("%Y-%m-%dT%H:%M%:z").to_string()
    }

    #[test]
    fn reads_and_prints() {
        for text in ["2y5m7d3h", "30d", "48h", "1y", "2w", "4294967295y"] {
            assert_eq!(span(text).to_string(), text);
        }
        assert_eq!(span("3h7d2y"), span("2y7d3h"));
        assert_eq!(span("0y030d").to_string(), "30d");
    }

    #[test]
    fn refuses_with_a_sentence() {
        let cases = [
            ("", "it is empty"),
            ("0d0h", "it is empty"),
            ("30", "30 has no unit"),
            ("d", "a number is wanted before 'd'"),
            ("-3d", "a number is wanted before '-'"),
            (" 3d", "a number is wanted before ' '"),
            ("3D", "'D' is not one of the units y, m, w, d and h"),
            ("3s", "'s' is not one of the units y, m, w, d and h"),
            ("3\u{fc}", "'\u{fc}' is not one of the units y, m, w, d and h"),
            ("1d2d", "'d' is given twice"),
            ("0d2d", "'d' is given twice"),
            ("4294967296d", "4294967296 is too large"),
        ];
        for (text, what) in cases {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert_eq!(error, format!("'{text}' is not a span of time such as 30d, 48h or 1y6m: {what}"));
        }
    }

    #[test]
    fn follows_the_calendar() {
        assert_eq!(before("1m", "2026-03-31T12:00:00Z", "UTC"), "2026-02-28T12:00+00:00");
        assert_eq!(before("1m", "2024-03-31T12:00:00Z", "UTC"), "2024-02-29T12:00+00:00");
        assert_eq!(before("1y", "2024-02-29T12:00:00Z", "UTC"), "2023-02-28T12:00+00:00");
        assert_eq!(before("1y1d", "2025-03-01T00:00:00Z", "UTC"), "2024-02-29T00:00+00:00");
        assert_eq!(before("2w", "2026-01-10T00:00:00Z", "UTC"), "2025-12-27T00:00+00:00");
    }

    #[test]
    fn a_day_is_not_always_24_hours() {
        // Berlin went to summer time on 2026-03-29 at 02:00, and back on 2026-10-25 at 03:00.
        assert_eq!(before("1d", "2026-03-29T10:00:00Z", "Europe/Berlin"), "2026-03-28T12:00+01:00");
        assert_eq!(before("24h", "2026-03-29T10:00:00Z", "Europe/Berlin"), "2026-03-28T11:00+01:00");
        assert_eq!(before("1d", "2026-10-25T11:00:00Z", "Europe/Berlin"), "2026-10-24T12:00+02:00");
        assert_eq!(before("24h", "2026-10-25T11:00:00Z", "Europe/Berlin"), "2026-10-24T13:00+02:00");
    }

    #[test]
    fn what_reaches_beyond_the_calendar_is_the_beginning() {
        let time = "2026-01-01T00:00:00Z".parse().unwrap();
        for text in ["4294967295y", "15000y", "4294967295h", "7304484d"] {
            assert_eq!(span(text).before(time, &TimeZone::UTC), Timestamp::MIN);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_text_is_answered(text in "[0-9ymwdh \u{fc}-]{0,12}") {
            if let Ok(span) = text.parse::<Span>() {
                prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            }
        }

        #[test]
        fn lies_in_the_past(amounts in any::<[u32; 5]>(), second in 0_i64..4_000_000_000) {
            proptest::prop_assume!(amounts != [0; 5]);
            let time = Timestamp::from_second(second).unwrap();
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            let span = Span { amounts };
            prop_assert!(span.before(time, &zone) < time);
        }
    }
}
