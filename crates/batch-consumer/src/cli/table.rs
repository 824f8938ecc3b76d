//! Text for terminals.

use service::terminal::printable;

/// The rows with their columns aligned, two spaces between them, each row ended by a line feed.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = widths.iter().zip(row);
        let line: String = cells
            .map(|(&width, cell)| format!("{cell:<width$}  "))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// At most `most` characters on one line, safe to print.
pub(crate) fn short(text: &str, most: usize) -> String {
    let whole = printable(text);
    let mut cut: String = whole
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .take(most)
        .collect();
    if whole.chars().nth(most).is_some() {
        cut.pop();
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "bb", "c"], ["äää", "b", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a    bb  c\näää  b\n");
    }

    #[test]
    fn a_cell_is_one_short_line_without_control_characters() {
        assert_eq!(short("a\nb\u{1b}[31m", 40), "a b\\u{1b}[31m");
        assert_eq!(short("äöüß", 3), "äö…");
        assert_eq!(short("äöü", 3), "äöü");
        assert_eq!(short("veh\u{202e}7", 40), "veh\\u{202e}7");
        assert_eq!(short("\u{1}\u{2}\u{3}", 6), "\\u{1}…");
    }
}
