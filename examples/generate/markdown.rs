//! Markdown as every page uses it.

/// A page: its heading, where it comes from, and its parts with an empty line between them.
pub(crate) fn page(title: &str, source: &str, parts: &[String]) -> String {
    let origin =
        format!("<!-- Generated from {source} by `make generate`: change that, not this page. -->");
    let heading = format!("# {title}");
    let parts = parts.iter().map(|part| part.trim_end());
    let parts: Vec<_> = [heading.as_str(), &origin]
        .into_iter()
        .chain(parts)
        .collect();
    format!("{}\n", parts.join("\n\n"))
}

/// A table, of which no row may be shorter than the head.
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut lines = vec![row(head.iter().map(ToString::to_string))];
    lines.push(format!("|{}", "---|".repeat(head.len())));
    for cells in rows {
        assert_eq!(cells.len(), head.len(), "{cells:?}");
        lines.push(row(cells));
    }
    lines.join("\n")
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells = cells
        .into_iter()
        .map(|cell| format!(" {} |", one_line(&cell).replace('|', "\\|")));
    format!("|{}", cells.collect::<String>())
}

/// A list of points.
pub(crate) fn points(points: impl IntoIterator<Item = String>) -> String {
    let points = points.into_iter().map(|point| format!("* {point}\n"));
    points.collect()
}

/// Code within a line.
pub(crate) fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Text as it is, whatever of it means something to Markdown; what is between backticks already is code.
pub(crate) fn plain(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(number, part)| {
        if number % 2 == 1 {
            part.to_owned()
        } else {
            part.replace('*', "\\*")
                .replace('_', "\\_")
                .replace('<', "\\<")
        }
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Without the line breaks of its source.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A sentence with its full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    format!("{text}.")
}
