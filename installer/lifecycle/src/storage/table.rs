//! Rows under headings, each column as wide as what is in it.

use std::fmt::Write;

/// Lines of a table. Empty cells are shown as `-`, but for those of the last column, which is for words
/// and as long as it likes.
pub(super) fn lines<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let rows = rows.iter().cloned().map(|mut row| {
        for cell in row.iter_mut().rev().skip(1).filter(|cell| cell.is_empty()) {
            cell.push('-');
        }
        row
    });
    let all: Vec<[String; N]> = [headings.map(str::to_owned)]
        .into_iter()
        .chain(rows)
        .collect();
    let width = |column: usize| {
        let cells = all.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // A string takes whatever is written to it.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and what they stand for, one a line, indented.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let told = pairs.iter().filter(|(_, value)| !value.is_empty());
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    told.map(|(name, value)| format!("  {name:<width$}  {value}\n"))
        .collect()
}
