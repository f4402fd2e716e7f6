//! Printing: tables, sentences and JSON. A reader that has gone away ends the output without a complaint.

use super::exit::CliError;
use crate::base::text;
use serde::Serialize;
use std::io::{self, Write};

/// One JSON document on a line of standard output.
pub fn json(value: &impl Serialize) -> Result<(), CliError> {
    let line = serde_json::to_string(value).map_err(io::Error::other)?;
    line_out(&line)
}

/// One line on standard output.
pub fn line_out(line: &str) -> Result<(), CliError> {
    match writeln!(io::stdout().lock(), "{line}") {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The sentence that a command ends with when it fails.
pub fn error(sentence: &str, code: u8, as_json: bool) {
    let shown = if as_json {
        serde_json::json!({ "error": { "code": code, "message": sentence } }).to_string()
    } else {
        format!("ssb: {sentence}")
    };
    writeln!(io::stderr().lock(), "{shown}").ok();
}

/// Something to heed while the work goes on.
pub fn warning(sentence: &str) {
    writeln!(io::stderr().lock(), "warning: {}", text::escape(sentence.as_bytes())).ok();
}

/// Rows under headings, each column as wide as its widest cell; the columns named in `right` are set flush right.
pub fn table(headings: &[&str], right: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut out = String::new();
        for ((cell, width), heading) in cells.iter().zip(&widths).zip(headings) {
            let pad = " ".repeat(width - cell.chars().count());
            let (before, after) = if right.contains(heading) { (pad, String::new()) } else { (String::new(), pad) };
            out.push_str(&format!("{before}{cell}{after}  "));
        }
        out.trim_end().to_owned()
    };
    let mut lines = vec![line(headings.to_vec())];
    lines.push("-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len().max(1) - 1)));
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// `1.2 MB`
pub fn bytes(count: u64) -> String {
    text::human_bytes(count)
}

/// `1 file`, `2 files`
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `0.4 s`, `3 min 20 s`
pub fn duration(milliseconds: u64) -> String {
    text::human_duration(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["ünï".to_owned(), "7".to_owned()]];
        let shown = table(&["name", "n"], &["n"], &rows);
        assert_eq!(shown, "name   n\n--------\na     10\nünï    7");
    }
}
