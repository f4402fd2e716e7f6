//! The rules of a policy as they are written in settings and options. Says nothing about snapshots.

use super::{Rule, Span};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// How many snapshots a rule may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// At most so many; 0 is the same as no rule.
    Limit(u32),
    /// As many as there are periods.
    Unlimited,
}

impl Count {
    const UNLIMITED: &str = "unlimited";
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Count::Limit(limit) => write!(f, "{limit}"),
            Count::Unlimited => f.write_str(Self::UNLIMITED),
        }
    }
}

/// A text that is neither a number of snapshots nor `unlimited`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a number of snapshots: a whole number from 0, or 'unlimited', is wanted")]
pub struct ParseCountError(String);

impl FromStr for Count {
    type Err = ParseCountError;

    fn from_str(text: &str) -> Result<Self, ParseCountError> {
        if text == Self::UNLIMITED {
            return Ok(Count::Unlimited);
        }
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = if is_plain { text.parse().ok() } else { None };
        limit.map(Count::Limit).ok_or_else(|| ParseCountError(text.to_owned()))
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Count::Limit(limit) => serializer.serialize_u32(*limit),
            Count::Unlimited => serializer.serialize_str(Self::UNLIMITED),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 0, or 'unlimited'")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Count, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Count, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A retention policy; a snapshot stays if any of its rules keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hourly: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekly: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yearly: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_hourly: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_daily: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_weekly: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_monthly: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_yearly: Option<Span>,
    /// Sets of tags; all tags of one set must be there. An empty set asks for nothing and so keeps every snapshot.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Vec<String>>,
}

impl Keep {
    /// Whether no rule is given; a count of 0 is no rule. Such a policy keeps everything.
    pub fn is_empty(&self) -> bool {
        let has_count = self.counts().iter().any(|(_, count)| count.is_some_and(|count| count != Count::Limit(0)));
        let has_span = self.within.is_some() || self.spans().iter().any(|(_, span)| span.is_some());
        !has_count && !has_span && self.tags.is_empty()
    }

    /// The rules with a number, in the order in which reasons are given.
    pub(super) fn counts(&self) -> [(Rule, Option<Count>); 6] {
        [
            (Rule::Last, self.last),
            (Rule::Hourly, self.hourly),
            (Rule::Daily, self.daily),
            (Rule::Weekly, self.weekly),
            (Rule::Monthly, self.monthly),
            (Rule::Yearly, self.yearly),
        ]
    }

    /// The rules of one snapshot per period inside a span, in the order in which reasons are given.
    pub(super) fn spans(&self) -> [(Rule, Option<Span>); 5] {
        [
            (Rule::Hourly, self.within_hourly),
            (Rule::Daily, self.within_daily),
            (Rule::Weekly, self.within_weekly),
            (Rule::Monthly, self.within_monthly),
            (Rule::Yearly, self.within_yearly),
        ]
    }
}

impl fmt::Display for Keep {
    /// A line such as `7 daily, unlimited yearly, all within 30d, tags a,b`; `everything` for the empty policy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("everything");
        }
        let counts = self.counts().into_iter().filter_map(|(rule, count)| Some((rule, count?)));
        let mut parts: Vec<String> = (counts.filter(|(_, count)| *count != Count::Limit(0)))
            .map(|(rule, count)| format!("{count} {}", rule.name()))
            .collect();
        parts.extend(self.within.map(|span| format!("all within {span}")));
        let spans = self.spans().into_iter().filter_map(|(rule, span)| Some((rule, span?)));
        parts.extend(spans.map(|(rule, span)| format!("{} within {span}", rule.name())));
        parts.extend(self.tags.iter().map(|set| format!("tags {}", set.join(","))));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_unlimited() {
        assert_eq!("7".parse(), Ok(Count::Limit(7)));
        assert_eq!("0".parse(), Ok(Count::Limit(0)));
        assert_eq!("unlimited".parse(), Ok(Count::Unlimited));
        for text in ["", "-1", "+1", "1.5", "all", " 1", "4294967296"] {
            let error = text.parse::<Count>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn policies_come_from_settings() {
        let keep: Keep =
            toml::from_str("daily = 7\nyearly = 'unlimited'\nwithin = '30d'\ntags = [['a', 'b']]").unwrap();
        assert_eq!(keep.daily, Some(Count::Limit(7)));
        assert_eq!(keep.yearly, Some(Count::Unlimited));
        assert_eq!(keep.to_string(), "7 daily, unlimited yearly, all within 30d, tags a,b");
        assert_eq!(
            serde_json::to_string(&keep).unwrap(),
            r#"{"daily":7,"yearly":"unlimited","within":"30d","tags":[["a","b"]]}"#
        );
        assert!(toml::from_str::<Keep>("daily = -1").is_err());
        assert!(toml::from_str::<Keep>("dayly = 1").is_err());
        assert!(toml::from_str::<Keep>("within = '0d'").is_err());
    }

    #[test]
    fn empty_means_no_rule_that_could_keep() {
        assert!(Keep::default().is_empty());
        assert!(Keep { daily: Some(Count::Limit(0)), ..Keep::default() }.is_empty());
        assert!(!Keep { daily: Some(Count::Unlimited), ..Keep::default() }.is_empty());
        assert!(!Keep { within_weekly: "1w".parse().ok(), ..Keep::default() }.is_empty());
        assert!(!Keep { tags: vec![vec!["a".into()]], ..Keep::default() }.is_empty());
        assert_eq!(Keep::default().to_string(), "everything");
    }
}
