//! Prints lists as a table, as JSON or as CSV.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use autharmor::{Error, PageQuery, Records, SortDirection};
use clap::{Args, ValueEnum};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::failure::Failure;

/// The number of records that a call asks for.
const PAGE_SIZE: u32 = 100;

/// The number of rows after which a table is printed up to there.
const TABLE_PART: usize = 100;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    #[default]
    Table,
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header
    Csv,
}

/// The options of each command that prints records.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct FormatArgs {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// The options of each command that prints a list.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) form: FormatArgs,

    /// Field to sort by, such as username or date_created; the service decides
    /// which it accepts
    #[arg(long, value_name = "FIELD")]
    sort: Option<String>,

    /// Sorts in descending order
    #[arg(long)]
    descending: bool,

    /// Ends after this many records
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,

    /// Records per call
    #[arg(long, value_name = "COUNT", default_value_t = PAGE_SIZE,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    page_size: u32,
}

impl ListArgs {
    /// Returns the query for the pages.
    pub(crate) fn query(&self) -> PageQuery {
        let mut query = PageQuery::new().page_size(self.page_size);
        if let Some(column) = &self.sort {
            query = query.sort_column(column);
        }
        if self.descending {
            query = query.sort_direction(SortDirection::Desc);
        }
        query
    }

    /// Prints the records of all pages that `select` makes a row of. One page is
    /// in memory at a time.
    pub(crate) fn print<'a, T, R: Row>(
        &self,
        what: &'static str,
        mut records: Records<'a, T>,
        mut select: impl FnMut(T) -> Option<R>,
    ) -> Result<(), Failure>
    where
        Records<'a, T>: Iterator<Item = Result<T, Error>>,
    {
        let progress = progress(what);
        let mut printer = Printer::stdout(self.form.format);
        let mut left = self.limit.unwrap_or(usize::MAX);
        while left > 0 {
            let Some(record) = records.next() else { break };
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    // The rows before the failure are worth reading.
                    printer.finish::<R>()?;
                    return Err(error.into());
                }
            };
            if let Some(total) = records.total() {
                progress.set_length(total);
            }
            progress.inc(1);
            if let Some(row) = select(record) {
                printer.print(&row)?;
                left -= 1;
            }
        }
        progress.finish_and_clear();
        printer.finish::<R>()
    }
}

/// A record as a line of a list. As JSON it has all of its fields.
pub(crate) trait Row: Serialize {
    /// The names of the columns of a table and of CSV.
    const COLUMNS: &'static [&'static str];

    /// The values of the columns; empty text for a missing one.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows.
pub(crate) struct Printer<W: Write> {
    out: W,
    format: Format,
    is_started: bool,
    table: TablePart,
}

impl Printer<BufWriter<Stdout>> {
    pub(crate) fn stdout(format: Format) -> Self {
        Self::new(BufWriter::new(io::stdout()), format)
    }
}

impl<W: Write> Printer<W> {
    fn new(out: W, format: Format) -> Self {
        Self {
            out,
            format,
            is_started: false,
            table: TablePart::default(),
        }
    }

    /// Prints a row. A table appears part by part, CSV and JSON at once on a
    /// terminal.
    pub(crate) fn print<R: Row>(&mut self, row: &R) -> Result<(), Failure> {
        self.print_row(row)
            .map_err(|error| Failure::of_output(&error))
    }

    /// Prints what is left. A list without rows has its header.
    pub(crate) fn finish<R: Row>(&mut self) -> Result<(), Failure> {
        self.start::<R>()
            .and_then(|()| self.table.print(&mut self.out))
            .and_then(|()| self.out.flush())
            .map_err(|error| Failure::of_output(&error))
    }

    fn start<R: Row>(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_started, true) {
            return Ok(());
        }
        match self.format {
            Format::Table => self
                .table
                .rows
                .push(R::COLUMNS.iter().map(ToString::to_string).collect()),
            Format::Csv => write_csv(&mut self.out, R::COLUMNS)?,
            Format::Json => {}
        }
        Ok(())
    }

    fn print_row<R: Row>(&mut self, row: &R) -> io::Result<()> {
        self.start::<R>()?;
        match self.format {
            Format::Json => writeln!(self.out, "{}", json(row)?),
            Format::Csv => {
                let cells = row.cells();
                let cells: Vec<_> = cells.iter().map(|cell| printable(cell)).collect();
                write_csv(&mut self.out, &cells)
            }
            Format::Table => {
                let cells = row.cells();
                self.table
                    .rows
                    .push(cells.iter().map(|cell| table_cell(cell)).collect());
                if self.table.rows.len() < TABLE_PART {
                    return Ok(());
                }
                self.table.print(&mut self.out)?;
                self.out.flush()
            }
        }
    }
}

/// Prints one record: as a table with a line for each field.
pub(crate) fn print_one<R: Row>(format: Format, row: &R) -> Result<(), Failure> {
    if format != Format::Table {
        let mut printer = Printer::stdout(format);
        printer.print(row)?;
        return printer.finish::<R>();
    }
    let mut table = TablePart::default();
    for (name, cell) in R::COLUMNS.iter().zip(row.cells()) {
        table.rows.push(vec![(*name).to_owned(), table_cell(&cell)]);
    }
    table
        .print(&mut io::stdout().lock())
        .map_err(|error| Failure::of_output(&error))
}

/// Prints a line on standard output.
pub(crate) fn print_line(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(|error| Failure::of_output(&error))
}

/// Prints a line on standard error, where nothing can be done about a failure.
pub(crate) fn report(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Rows of a table that are not printed yet. Columns only become wider from part
/// to part, so that memory is bounded and short lists are well aligned.
#[derive(Default)]
struct TablePart {
    rows: Vec<Vec<String>>,
    widths: Vec<u16>,
}

impl TablePart {
    fn print(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .add_rows(self.rows.drain(..));
        let widest = table.column_max_content_widths();
        self.widths.resize(widest.len(), 0);
        for ((column, width), widest) in table.column_iter_mut().zip(&mut self.widths).zip(widest) {
            *width = widest.max(*width);
            // With the padding.
            let whole = width.saturating_add(2);
            column.set_padding((0, 2));
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(whole)));
        }
        writeln!(out, "{}", table.trim_fmt())
    }
}

/// A cell of a table. An empty one would be overlooked by programs that split
/// lines at blanks.
fn table_cell(text: &str) -> String {
    match text {
        "" => "-".to_owned(),
        text => printable(text).into_owned(),
    }
}

fn write_csv(out: &mut impl Write, cells: &[impl AsRef<str>]) -> io::Result<()> {
    // No buffer larger than a line is needed.
    let mut writer = csv::WriterBuilder::new()
        .buffer_capacity(256)
        .from_writer(out);
    writer.write_record(cells.iter().map(|cell| cell.as_ref().as_bytes()))?;
    writer.flush()
}

/// Returns the record as JSON on one line. Hidden characters are escaped: they
/// can only stand in texts.
fn json(row: &impl Serialize) -> io::Result<String> {
    let text = serde_json::to_string(row)?;
    if text.chars().all(|c| !is_hidden(c)) {
        return Ok(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

/// Returns a text with hidden characters escaped, such as `\u{1b}`: text from
/// the service must not control the terminal, nor show something else than it
/// says.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !is_hidden(c)) {
        return text.into();
    }
    let escape = |c: char| match c {
        c if is_hidden(c) => c.escape_debug().collect(),
        c => String::from(c),
    };
    text.chars().map(escape).collect::<String>().into()
}

/// Returns whether a character is invisible, changes the order of others or
/// controls the terminal.
fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // Only at the start of a text does this escape accents.
    String::from_iter(['a', c]).escape_debug().nth(1) == Some('\\')
}

/// Shows progress on a terminal's standard error, unless the list itself is on
/// the terminal.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    if io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    // Draws nothing if standard error is not a terminal.
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{prefix}: {human_pos} of {human_len}") {
        bar.set_style(style);
    }
    bar.set_prefix(what);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Line(&'static str, &'static str);

    impl Row for Line {
        const COLUMNS: &'static [&'static str] = &["name", "text"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), self.1.to_owned()]
        }
    }

    fn printed(format: Format, rows: &[Line]) -> String {
        let mut printer = Printer::new(Vec::new(), format);
        for row in rows {
            printer.print(row).unwrap();
        }
        printer.finish::<Line>().unwrap();
        String::from_utf8(printer.out).unwrap()
    }

    #[test]
    fn the_formats_align_quote_and_escape() {
        let rows = [
            Line("ada", "a \"b\", c"),
            Line("語語", ""),
            // A terminal's control sequences, a line end, reversed text.
            Line("\u{1b}[2J\u{9b}2J", "one\ntwo\u{202e}\u{e0041}"),
            Line("D\\ada", "e\u{301}"),
        ];
        assert_eq!(
            printed(Format::Table, &rows),
            "name                text\n\
             ada                 a \"b\", c\n\
             語語                -\n\
             \\u{1b}[2J\\u{9b}2J  one\\ntwo\\u{202e}\\u{e0041}\n\
             D\\ada               e\u{301}\n"
        );
        assert_eq!(
            printed(Format::Csv, &rows),
            "name,text\n\
             ada,\"a \"\"b\"\", c\"\n\
             語語,\n\
             \\u{1b}[2J\\u{9b}2J,one\\ntwo\\u{202e}\\u{e0041}\n\
             D\\ada,e\u{301}\n"
        );
        assert_eq!(
            printed(Format::Json, &rows),
            "[\"ada\",\"a \\\"b\\\", c\"]\n\
             [\"語語\",\"\"]\n\
             [\"\\u001b[2J\\u009b2J\",\"one\\ntwo\\u202e\\udb40\\udc41\"]\n\
             [\"D\\\\ada\",\"e\u{301}\"]\n"
        );
    }

    #[test]
    fn an_empty_list_has_its_header() {
        assert_eq!(printed(Format::Table, &[]), "name  text\n");
        assert_eq!(printed(Format::Csv, &[]), "name,text\n");
        assert_eq!(printed(Format::Json, &[]), "");
    }

    #[test]
    fn later_parts_of_a_table_keep_the_columns() {
        let rows: Vec<Line> = (0..250)
            .map(|n| match n {
                0 => Line("a long name", "x"),
                _ => Line("a", "x"),
            })
            .collect();
        let table = printed(Format::Table, &rows);
        assert_eq!(table.lines().count(), 251);
        assert!(table.lines().skip(1).all(|line| line.find('x') == Some(13)));
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in [Format::Table, Format::Csv] {
            let end = Printer::new(Closed, format).finish::<Line>();
            assert!(matches!(end, Err(Failure::ClosedPipe)), "{end:?}");
        }
        let end = Printer::new(Closed, Format::Json).print(&Line("a", "b"));
        assert!(matches!(end, Err(Failure::ClosedPipe)), "{end:?}");
    }
}
