//! [`Paging`]: pages and order of lists.

use std::ops::Range;

use serde_json::{Value, json};

use super::{
    call::Call,
    decisions::{FIRST_PAGE, LARGEST_PAGE, PAGE_SIZE},
    refusal::{Refusal, Result},
};

/// Page and order of a list.
pub(super) struct Paging<'a> {
    number: i64,
    size: i64,
    /// The sort column, if the request names one.
    pub(super) column: Option<&'a str>,
    pub(super) descending: bool,
}

impl<'a> Paging<'a> {
    pub(super) fn of(call: &'a Call<'_>, columns: &[&str]) -> Result<Self> {
        let number = |name: &str, default: i64, most: i64| match call.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<i32>()
                .ok()
                .map(i64::from)
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| Refusal::bad(format!("{name} is out of range"))),
        };
        let column = call.parameter("sort_column");
        if column.is_some_and(|column| !columns.contains(&column)) {
            return Err(Refusal::bad(
                "sort_column is not one of the record's fields",
            ));
        }
        let descending = match call.parameter("sort_direction") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Refusal::bad("sort_direction must be asc or desc")),
        };
        Ok(Self {
            number: number("page_number", FIRST_PAGE, i64::from(i32::MAX))?,
            size: number("page_size", PAGE_SIZE, LARGEST_PAGE)?,
            column,
            descending,
        })
    }

    /// Sorts by a key, stably, and reverses the order if requested.
    pub(super) fn sort<T, K: Ord>(&self, records: &mut [T], key: impl Fn(&T, &str) -> K) {
        if let Some(column) = self.column {
            records.sort_by_cached_key(|record| key(record, column));
        }
        if self.descending {
            records.reverse();
        }
    }

    /// The records of the page, and `page_info`.
    pub(super) fn cut<'r, T>(&self, records: &'r [T]) -> (&'r [T], Value) {
        let (range, info) = self.range(records.len());
        (records.get(range).unwrap_or_default(), info)
    }

    /// The range of records on the page, and `page_info`.
    pub(super) fn range(&self, total: usize) -> (Range<usize>, Value) {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let pages = total.div_euclid(self.size) + i64::from(total % self.size != 0);
        let start = (self.number - FIRST_PAGE)
            .saturating_mul(self.size)
            .min(total);
        let end = start.saturating_add(self.size).min(total);
        // Both are at least zero and at most `total`, which was a `usize`.
        let [start, end] = [start, end].map(|at| usize::try_from(at).unwrap_or_default());
        let info = json!({
            "currnet_page_number": self.number,
            "currnet_page_size": self.size,
            "total_page_count": pages,
            "total_record_count": total,
        });
        (start..end, info)
    }
}
