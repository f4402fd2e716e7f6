//! Small bar charts as SVG that stands in the page. Knows nothing of where its numbers come from.

use super::chart;
use super::words;
use sailfish::Template;

pub(super) const WIDTH: u64 = 600;
pub(super) const HEIGHT: u64 = 64;
/// So many runs are shown.
pub(super) const MOST_BARS: usize = 30;
/// A single bar must not fill the picture.
const LEAST_SLOTS: u64 = 15;
/// What is there must be seen, be it ever so small.
const LEAST_HEIGHT: u64 = 2;
/// A run of which nothing came is a mark at the ground.
const MARK_HEIGHT: u64 = 8;

/// One value of one run.
pub(super) struct Point {
    pub value: u64,
    /// The value in words.
    pub shown: String,
    /// When, in words.
    pub time: String,
    /// `ok`, `warn` or `bad`.
    pub tone: &'static str,
}

pub(super) struct Bar {
    pub x: u64,
    pub y: u64,
    pub width: u64,
    pub height: u64,
    pub class: String,
    pub title: String,
}

#[derive(Template)]
#[template(path = "chart.stpl")]
pub(super) struct Chart {
    pub title: &'static str,
    pub latest: String,
    pub highest: String,
    pub first: String,
    pub last: String,
    pub bars: Vec<Bar>,
}

impl Chart {
    /// Of the last points, the newest at the right and set apart; nothing if there are not two to compare.
    pub fn new(title: &'static str, points: &[Point]) -> Option<Self> {
        let points = &points[points.len().saturating_sub(MOST_BARS)..];
        let ([first, .., last], Some(highest)) = (points, points.iter().max_by_key(|point| point.value)) else {
            return None;
        };
        if highest.value == 0 {
            return None;
        }
        let number = points.len() as u64;
        let slots = number.max(LEAST_SLOTS);
        let place = |slot: u64| slot * WIDTH / slots;
        let bar = |(index, point): (usize, &Point)| {
            let slot = slots - number + index as u64;
            let scaled = u128::from(point.value) * u128::from(HEIGHT) / u128::from(highest.value);
            let least = if point.value == 0 && point.tone == "ok" {
                1
            } else if point.tone == "ok" {
                LEAST_HEIGHT
            } else {
                MARK_HEIGHT
            };
            let height = u64::try_from(scaled).unwrap_or(HEIGHT).max(least);
            let newest = if index + 1 == points.len() { "now" } else { "" };
            Bar {
                x: place(slot),
                y: HEIGHT - height,
                width: (place(slot + 1) - place(slot)).saturating_sub(3).max(1),
                height,
                class: if point.tone == "ok" { newest.to_owned() } else { point.tone.to_owned() },
                title: format!("{}: {}", point.time, point.shown),
            }
        };
        Some(Self {
            title,
            latest: last.shown.clone(),
            highest: highest.shown.clone(),
            first: short(&first.time, &last.time).to_owned(),
            last: short(&last.time, &first.time).to_owned(),
            bars: points.iter().enumerate().map(bar).collect(),
        })
    }

    /// For those who hear the page.
    fn label(&self) -> String {
        let runs = words::count(self.bars.len() as u64, "run", "runs");
        format!("{} of {runs}: now {}, highest {}", self.title, self.latest, self.highest)
    }
}

/// The day of `2026-01-02 03:04`, or the time of day if the other has the same.
fn short<'t>(time: &'t str, other: &str) -> &'t str {
    match time.split_once(' ') {
        Some((day, of_day)) if other.starts_with(day) => of_day,
        Some((day, _)) => day,
        None => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: u64, tone: &'static str) -> Point {
        Point { value, shown: format!("{value} <B>"), time: format!("day \"{value}\""), tone }
    }

    #[test]
    fn bars_stay_in_the_picture_and_words_are_escaped() {
        for number in [2, 3, 15, 16, 29, 30, 31, 200] {
            let points: Vec<Point> =
                (0..number).map(|n| point(n * 1_000_000_007, if n % 5 == 0 { "bad" } else { "ok" })).collect();
            let chart = Chart::new("Size", &points).unwrap();
            assert_eq!(chart.bars.len(), points.len().min(MOST_BARS));
            let mut end = 0;
            for bar in &chart.bars {
                assert!(bar.x >= end && bar.height >= 1 && bar.y + bar.height == HEIGHT, "{number}");
                end = bar.x + bar.width;
            }
            assert!(end <= WIDTH);
            let svg = chart.render().unwrap();
            assert!(!svg.contains("<B>") && !svg.contains("day \""), "{svg}");
        }
        assert!(Chart::new("Size", &[point(u64::MAX, "ok"), point(0, "ok")]).unwrap().render().is_ok());
    }

    #[test]
    fn the_axis_says_what_differs() {
        assert_eq!(short("2026-01-02 03:04", "2026-01-01 03:04"), "2026-01-02");
        assert_eq!(short("2026-01-02 03:04", "2026-01-02 05:06"), "03:04");
    }

    #[test]
    fn what_cannot_be_compared_is_not_drawn() {
        assert!(Chart::new("Size", &[]).is_none());
        assert!(Chart::new("Size", &[point(5, "ok")]).is_none());
        assert!(Chart::new("Size", &[point(0, "ok"), point(0, "bad")]).is_none());
    }
}
