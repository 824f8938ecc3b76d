//! The bills as a table, in Markdown.

use std::fmt;

use super::bill::{Bill, ITEMS};

/// Bills side by side, an item a row.
#[derive(Debug)]
pub struct Table<'b>(pub &'b [Bill]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<Vec<String>> = vec![self.row("$ a month", heading)];
        for (at, item) in ITEMS.iter().enumerate() {
            rows.push(self.row(item, |bill| dollars(bill.dollars[at])));
        }
        rows.push(self.row("**sum**", |bill| format!("**{}**", dollars(bill.total))));
        rows.push(self.row("requests, $ per million events", |bill| {
            format!("{:.4}", bill.requests_per_million)
        }));
        if self.0.iter().any(Bill::needs_lanes) {
            rows.push(self.row("lanes, not built", |bill| bill.lanes.to_string()));
        }
        let columns = self.0.len() + 1;
        let widths: Vec<usize> = (0..columns)
            .map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0))
            .collect();
        for (number, row) in rows.iter().enumerate() {
            for (at, cell) in row.iter().enumerate() {
                let width = widths[at];
                if at == 0 {
                    write!(f, "| {cell:<width$} |")?;
                } else {
                    write!(f, " {cell:>width$} |")?;
                }
            }
            writeln!(f)?;
            if number == 0 {
                for (at, width) in widths.iter().enumerate() {
                    if at == 0 {
                        write!(f, "|{}|", "-".repeat(width + 2))?;
                    } else {
                        write!(f, "{}:|", "-".repeat(width + 1))?;
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

impl Table<'_> {
    fn row(&self, name: &str, cell: impl Fn(&Bill) -> String) -> Vec<String> {
        std::iter::once(name.to_owned())
            .chain(self.0.iter().map(cell))
            .collect()
    }
}

/// Name of a bill, with a mark if it is for more than one aggregator does.
fn heading(bill: &Bill) -> String {
    if bill.needs_lanes() {
        format!("{} (needs lanes)", bill.name)
    } else {
        bill.name.to_owned()
    }
}

/// An amount with separators of thousands, in cents below a hundred dollars.
pub(super) fn dollars(amount: f64) -> String {
    if amount < 100.0 {
        return format!("{amount:.2}");
    }
    thousands(amount)
}

/// A whole number with separators of thousands.
pub(super) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        for (amount, expected) in [
            (0.0, "0.00"),
            (7.456, "7.46"),
            (99.99, "99.99"),
            (100.4, "100"),
            (1_234.5, "1,234"),
            (12_345_678.0, "12,345,678"),
        ] {
            assert_eq!(dollars(amount), expected);
        }
    }
}
