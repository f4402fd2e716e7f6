//! The run as a message to a Slack channel: short, escaped as Slack wants, bounded.

use super::{View, words};
use crate::base::text::human_bytes;
use serde_json::{Value, json};

/// Slack takes 3,000 characters in a block; what is escaped grows.
const MOST_CHARS: usize = 2_800;
const MOST_JOBS: usize = 15;
const MOST_LINE: usize = 180;

pub(super) fn render(view: &View<'_>) -> Value {
    let subject = escape(&words::view_subject(view));
    let mut blocks = vec![section(&format!("*{subject}*"))];
    let details = details(view);
    if !details.is_empty() {
        blocks.push(section(&details));
    }
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": footer(view) }] }));
    json!({ "text": subject, "blocks": blocks })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn details(view: &View<'_>) -> String {
    let record = view.record;
    let run = record.errors.iter().map(|error| escape(&words::line(error, MOST_LINE)));
    let bad = record.jobs.iter().filter(|job| !job.status.is_good());
    let jobs = bad.map(|job| {
        let complaint = escape(&words::line(&words::complaint(job), MOST_LINE));
        format!("{} {}: {complaint}", escape(&words::line(&job.name, 60)), job.status.word())
    });
    let lines: Vec<String> = run.chain(jobs).map(|line| format!("• {line}\n")).collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if index == MOST_JOBS || out.chars().count() + line.chars().count() > MOST_CHARS {
            out.push_str(&format!("and {} more\n", lines.len() - index));
            break;
        }
        out.push_str(line);
    }
    out
}

fn footer(view: &View<'_>) -> String {
    let record = view.record;
    let sums = words::sums(record);
    let begun = words::moment(record.begun, &words::zone(record));
    let duration = crate::base::text::human_duration(record.duration_ms());
    let mut out =
        format!("{begun} · {duration} · {}, {} stored", human_bytes(sums.bytes), human_bytes(sums.stored_bytes));
    if let Some(link) = view.link.filter(|link| !link.contains(['|', '<', '>'])) {
        out.push_str(&format!(" · <{}|report>", escape(link)));
    }
    out
}

/// The three characters that Slack gives a meaning, and the marks of its formatting.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A zero-width space keeps them from pairing up.
            '*' | '_' | '~' | '`' => out.extend(['\u{200b}', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobRecord, sample};

    #[test]
    fn names_cannot_call_anybody_and_the_message_is_bounded() {
        let mut record = sample::run("2026-01-02T02:04:05Z".parse().unwrap());
        let hostile = "<!channel> & <@U1|x> *bold*\n".repeat(40);
        let job = JobRecord { name: hostile.clone(), error: Some(hostile), ..record.jobs[3].clone() };
        record.jobs.extend(vec![job; 100]);
        let view = View { link: Some("https://example.com/r/backup-2026-01-02T02:04:05.html"), ..View::new(&record) };
        let message = render(&view);
        let text = message.to_string();
        assert!(!text.contains("<!") && !text.contains("<@"), "{text}");
        assert!(text.contains("&lt;!channel&gt; &amp;") && text.contains("|report>") && text.contains(" more"));
        for block in message["blocks"].as_array().unwrap() {
            let shown = block["text"]["text"].as_str().or(block["elements"][0]["text"].as_str()).unwrap();
            assert!((1..=3000).contains(&shown.chars().count()));
        }
    }
}
