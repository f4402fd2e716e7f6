//! Figures as a table in Markdown, for a terminal and for a page.

/// The first column stands to the left, all others to the right.
pub fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|&heading| heading.to_owned()).collect();
    let cells = |column: usize| std::iter::once(&headings).chain(rows).filter_map(move |row| row.get(column));
    let longest = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..headings.len()).map(longest).collect();
    let line = |row: &Vec<String>| {
        let padded = widths.iter().zip(row).enumerate().map(|(column, (&width, cell))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width + 2)).collect();
    let body: String = rows.iter().map(line).collect();
    format!("{}|{}|\n{body}", line(&headings), rules.join("|"))
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
