//! Pages of records: [`PageQuery`], [`Page`], and [`Records`], which walks
//! over all of them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::FusedIterator;
use std::vec;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::types::{lenient_text, object_or_default, objects};

/// The most pages that [`Records`] reads.
const MAX_PAGES: u32 = 100_000;

/// Which way a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortDirection {
    /// Smallest, or earliest, first.
    Asc,
    /// Largest, or latest, first.
    Desc,
}

impl SortDirection {
    /// The text on the wire: `asc` or `desc`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// Which page of a list is wanted, and in which order. What is not set is not
/// sent, and the service decides.
///
/// Unverified: the number of the first page, the usual and the largest page
/// size, and the columns that a list can be sorted by.
///
/// ```
/// use autharmor::{PageQuery, SortDirection};
///
/// let newest = PageQuery::new()
///     .page_size(50)
///     .sort_column("date_created")
///     .sort_direction(SortDirection::Desc);
/// assert_eq!(newest.page_number, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PageQuery {
    /// See [`page_number`](Self::page_number).
    pub page_number: Option<u32>,
    /// See [`page_size`](Self::page_size).
    pub page_size: Option<u32>,
    /// See [`sort_column`](Self::sort_column).
    pub sort_column: Option<String>,
    /// See [`sort_direction`](Self::sort_direction).
    pub sort_direction: Option<SortDirection>,
}

impl PageQuery {
    /// Asks for what the service takes for the first page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of the page, at most 2,147,483,647; more is refused when the
    /// call is sent. Whether the first page is 0 or 1 is unverified.
    #[must_use]
    pub fn page_number(mut self, number: u32) -> Self {
        self.page_number = Some(number);
        self
    }

    /// How many records a page holds, at most 2,147,483,647; more is refused
    /// when the call is sent. The service's own limit is unverified.
    #[must_use]
    pub fn page_size(mut self, size: u32) -> Self {
        self.page_size = Some(size);
        self
    }

    /// The field of the record to sort by, such as `username` or
    /// `date_created`. Which ones the service takes is unverified.
    #[must_use]
    pub fn sort_column(mut self, column: impl Into<String>) -> Self {
        self.sort_column = Some(column.into());
        self
    }

    /// Which way to sort.
    #[must_use]
    pub fn sort_direction(mut self, direction: SortDirection) -> Self {
        self.sort_direction = Some(direction);
        self
    }

    /// The query, or what is wrong with it.
    pub(crate) fn pairs(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let mut pairs = Vec::with_capacity(4);
        for (name, value) in [
            ("page_number", self.page_number),
            ("page_size", self.page_size),
        ] {
            let Some(value) = value else { continue };
            if i32::try_from(value).is_err() {
                return Err(Error::invalid(format!(
                    "{name} is larger than {}",
                    i32::MAX
                )));
            }
            pairs.push((name, value.to_string()));
        }
        if let Some(column) = &self.sort_column {
            pairs.push(("sort_column", column.clone()));
        }
        if let Some(direction) = self.sort_direction {
            pairs.push(("sort_direction", direction.as_str().to_owned()));
        }
        Ok(pairs)
    }
}

impl From<&Self> for PageQuery {
    fn from(query: &Self) -> Self {
        query.clone()
    }
}

/// What is listed page by page.
pub trait Record {
    /// What the service calls the array of these records.
    const FIELD: &'static str;

    /// What tells this record from others, if it has anything of that kind.
    fn identity(&self) -> Option<impl Hash>;
}

/// One page of a list.
///
/// The records travel as `user_records`, `auth_history_records` or
/// `credential_records`, as the service calls them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The records; empty if the service sent none.
    #[serde(
        default,
        rename = "user_records",
        alias = "auth_history_records",
        alias = "credential_records",
        deserialize_with = "objects"
    )]
    pub records: Vec<T>,
    /// Where in the list this page is.
    #[serde(default, deserialize_with = "object_or_default")]
    pub page_info: PageInfo,
}

impl<T: Record + Serialize> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_struct("Page", 2)?;
        page.serialize_field(T::FIELD, &self.records)?;
        page.serialize_field("page_info", &self.page_info)?;
        page.end()
    }
}

/// Where in a list a page is, as the service counts. `None` is what it did not
/// say, or what is not a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PageInfo {
    /// The number of this page.
    // The service spells it so.
    #[serde(
        default,
        rename = "currnet_page_number",
        alias = "current_page_number",
        deserialize_with = "count"
    )]
    pub current_page_number: Option<u64>,
    /// How many records a page holds.
    // The service spells it so.
    #[serde(
        default,
        rename = "currnet_page_size",
        alias = "current_page_size",
        deserialize_with = "count"
    )]
    pub current_page_size: Option<u64>,
    /// How many pages the list has.
    #[serde(default, deserialize_with = "count")]
    pub total_page_count: Option<u64>,
    /// How many records the list has.
    #[serde(default, deserialize_with = "count")]
    pub total_record_count: Option<u64>,
}

/// A count must not spoil a page of good records, whatever it looks like.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = lenient_text(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

type Fetch<'a, T> = Box<dyn FnMut(Option<u32>) -> Result<Page<T>, Error> + Send + 'a>;

/// All records of a list, fetched page by page as they are asked for.
///
/// Made by [`Client::users`](crate::Client::users),
/// [`Client::auth_history`](crate::Client::auth_history) and
/// [`Client::credentials`](crate::Client::credentials). One page is held at a
/// time. An error is handed out once, and then the iterator is at its end.
///
/// It begins with the page number of its query. Without one it asks for no
/// page first, and goes on from the number that the service gave that page, or
/// from 1 if it gave none. It ends in every case, with the first page that
///
/// - is empty, or
/// - completes the total number of records, or, where that says nothing
///   because reading began later or the service did not send it, is the last
///   by the total number of pages, or
/// - repeats an earlier page, by its records' ids or by its own number.
///
/// A total that the records contradict is not believed. A list that has not
/// ended after 100,000 pages is an error of kind
/// [`ErrorKind::Protocol`]; a program that does have
/// that many reads on with a later
/// [`page_number`](crate::PageQuery::page_number) or larger pages.
///
/// Pages are no snapshot: a record that is added or removed while they are
/// read may move others to a page that was, or is yet to be, read, so that one
/// is missed or comes twice.
///
/// ```no_run
/// # let client = autharmor::Client::from_env()?;
/// for user in client.users(autharmor::users::UserQuery::new()) {
///     println!("{}", user?.user_id);
/// }
/// # Ok::<(), autharmor::Error>(())
/// ```
#[must_use = "nothing is fetched before the iterator is used"]
pub struct Records<'a, T> {
    fetch: Fetch<'a, T>,
    /// The page to ask for next.
    next: Option<u32>,
    /// Whether reading began with the first page, as far as one can tell.
    whole: bool,
    ended: bool,
    page: vec::IntoIter<T>,
    /// How many pages and records were received.
    pages: u32,
    received: u64,
    total: Option<u64>,
    /// The last page's own number, if it was the one that was asked for.
    number: Option<u64>,
    /// Fingerprints: of the last page, and of the one whose position is the
    /// highest power of two. The latter finds cycles of any length.
    last: Option<u64>,
    anchor: Option<u64>,
}

impl<'a, T: Record> Records<'a, T> {
    /// `fetch` gets the number of the page; `None` asks for the first.
    pub(crate) fn new(
        start: Option<u32>,
        fetch: impl FnMut(Option<u32>) -> Result<Page<T>, Error> + Send + 'a,
    ) -> Self {
        Self {
            fetch: Box::new(fetch),
            next: start,
            whole: start.is_none_or(|number| number <= 1),
            ended: false,
            page: Vec::new().into_iter(),
            pages: 0,
            received: 0,
            total: None,
            number: None,
            last: None,
            anchor: None,
        }
    }

    /// Fetches a page that holds something, or ends.
    fn turn(&mut self) -> Result<(), Error> {
        // Whatever goes wrong from here on is the end.
        self.ended = true;
        if self.pages == MAX_PAGES {
            return Err(Error::new(
                ErrorKind::Protocol,
                "the list has not ended after 100,000 pages",
            )
            .in_area("records")
            .with_sent(true));
        }
        let asked = self.next;
        let Page { records, page_info } = (self.fetch)(asked)?;
        let said = page_info.current_page_number;
        self.total = page_info.total_record_count.or(self.total);
        let fingerprint = fingerprint(&records);
        if records.is_empty() || self.is_repeat(fingerprint, said) {
            return Ok(());
        }

        self.pages += 1;
        self.received = self.received.saturating_add(records.len() as u64);
        self.page = records.into_iter();
        self.number = said.filter(|said| asked.is_none_or(|asked| u64::from(asked) == *said));
        self.last = fingerprint;
        if self.pages.is_power_of_two() {
            self.anchor = fingerprint;
        }

        let is_last = match self.total {
            Some(total) if self.whole => self.received == total,
            _ => said.is_some_and(|said| said > 0 && page_info.total_page_count == Some(said)),
        };
        let number = asked.or_else(|| said?.try_into().ok()).unwrap_or(1);
        self.next = number
            .checked_add(1)
            .filter(|next| i32::try_from(*next).is_ok());
        self.ended = is_last || self.next.is_none();
        Ok(())
    }

    fn is_repeat(&self, fingerprint: Option<u64>, said: Option<u64>) -> bool {
        let seen = fingerprint.is_some() && [self.last, self.anchor].contains(&fingerprint);
        let stands_still = self
            .number
            .is_some_and(|last| said.is_some_and(|said| said <= last));
        seen || stands_still
    }
}

impl<T> Records<'_, T> {
    /// How many records the whole list has, as the last page that was read
    /// says; `None` before the first and if the service does not say. It is
    /// the service's word only.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// Tells pages apart by their records. Records without an identity (sign-ins
/// that are still pending look all alike) tell nothing.
fn fingerprint<T: Record>(records: &[T]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut told = false;
    for record in records {
        let identity = record.identity();
        told |= identity.is_some();
        identity.hash(&mut hasher);
    }
    told.then(|| hasher.finish())
}

impl<T: Record> Iterator for Records<'_, T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.page.next() {
                return Some(Ok(record));
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
    }

    /// At least what is left of the page in hand. The upper bound is as right
    /// as the service's total, and there is none before the first page.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let at_hand = self.page.len();
        if self.ended {
            return (at_hand, Some(at_hand));
        }
        let to_come = self
            .total
            .filter(|_| self.whole)
            .and_then(|total| total.checked_sub(self.received));
        let upper = to_come.and_then(|to_come| at_hand.checked_add(to_come.try_into().ok()?));
        (at_hand, upper)
    }
}

impl<T: Record> FusedIterator for Records<'_, T> {}

/// Shows how far it has come, and no record.
impl<T> fmt::Debug for Records<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("pages", &self.pages)
            .field("records", &self.received)
            .field("total", &self.total)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with an id, or without one.
    #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
    struct Item(Option<u64>);

    impl Record for Item {
        const FIELD: &'static str = "user_records";

        fn identity(&self) -> Option<impl Hash> {
            self.0
        }
    }

    fn page(ids: impl IntoIterator<Item = u64>, info: [Option<u64>; 3]) -> Page<Item> {
        let [current_page_number, total_page_count, total_record_count] = info;
        Page {
            records: ids.into_iter().map(|id| Item(Some(id))).collect(),
            page_info: PageInfo {
                current_page_number,
                current_page_size: None,
                total_page_count,
                total_record_count,
            },
        }
    }

    /// The ids of page `number` of pages of ten, counted from 1.
    fn ten(number: u64) -> std::ops::Range<u64> {
        (number.max(1) - 1) * 10..number * 10
    }

    /// What came, as ids, the pages that were asked for, and how it ended.
    fn read(
        start: Option<u32>,
        mut serve: impl FnMut(Option<u32>) -> Page<Item> + Send,
    ) -> (Vec<u64>, Vec<Option<u32>>, Option<ErrorKind>) {
        let mut asked = Vec::new();
        let mut records = Records::new(start, |number| {
            asked.push(number);
            Ok(serve(number))
        });
        let mut ids = Vec::new();
        let mut end = None;
        for record in &mut records {
            match record {
                Ok(record) => ids.push(record.0.unwrap_or(u64::MAX)),
                Err(error) => end = Some(error.kind()),
            }
        }
        assert!(records.next().is_none());
        assert_eq!(records.size_hint(), (0, Some(0)));
        drop(records);
        (ids, asked, end)
    }

    #[test]
    fn ten_thousand_records_come_once_each_and_in_order() {
        // The number of the first page, and whether pages bear a number.
        for (base, numbered) in [(0, true), (1, true), (1, false)] {
            for (total_pages, total) in [
                (Some(100), Some(10_000)),
                (Some(100), None),
                (None, Some(10_000)),
                (None, None),
            ] {
                let (ids, asked, end) = read(None, |number| {
                    let number = number.map_or(base, u64::from);
                    let first = (number - base) * 100;
                    let ids = first..(first + 100).min(10_000);
                    page(ids, [numbered.then_some(number), total_pages, total])
                });
                assert!(ids.into_iter().eq(0..10_000), "{base} {numbered}");
                assert_eq!(end, None);
                let known = total.is_some() || (total_pages.is_some() && numbered && base == 1);
                assert_eq!(asked.len(), if known { 100 } else { 101 });
            }
        }
    }

    /// A record that counts those of its kind that are alive.
    struct Alive {
        id: u64,
        _counted: std::sync::Arc<()>,
    }

    impl Record for Alive {
        const FIELD: &'static str = "user_records";

        fn identity(&self) -> Option<impl Hash> {
            Some(self.id)
        }
    }

    #[test]
    fn no_more_than_a_page_is_held() {
        let alive = std::sync::Arc::new(());
        let counter = std::sync::Arc::clone(&alive);
        let records = Records::new(None, move |number| {
            let first = u64::from(number.unwrap_or(1) - 1) * 100;
            let ids = first..(first + 100).min(10_000);
            let records = ids.map(|id| Alive {
                id,
                _counted: std::sync::Arc::clone(&counter),
            });
            Ok(Page {
                records: records.collect(),
                page_info: PageInfo::default(),
            })
        });
        let most = records.map(|_| std::sync::Arc::strong_count(&alive)).max();
        // The page, the closure's own and this test's.
        assert!(most.is_some_and(|most| most <= 102), "{most:?}");
    }

    #[test]
    fn reading_may_begin_in_the_middle() {
        let serve = |number: Option<u32>| {
            let number = number.map_or(1, u64::from);
            page(ten(number), [Some(number), Some(5), Some(50)])
        };
        let (ids, asked, _) = read(Some(4), serve);
        assert!(ids.into_iter().eq(30..50));
        assert_eq!(asked, [Some(4), Some(5)]);
    }

    #[test]
    fn pages_without_records_end_it() {
        for info in [
            [None, None, None],
            [Some(1), Some(0), Some(0)],
            [Some(1), Some(7), Some(70)],
        ] {
            let (ids, asked, end) = read(None, |_| page([], info));
            assert_eq!((ids.len(), asked.len(), end), (0, 1, None));
        }
    }

    /// Servers that go on for ever: each is left, with its honest records.
    #[test]
    fn lying_servers_end() {
        type Server = fn(u64) -> Page<Item>;
        let servers: [(&str, u64, Server); 10] = [
            ("one page, nothing said", 10, |_| page(ten(1), [None; 3])),
            ("one page, its number said", 10, |_| {
                page(ten(1), [Some(1), Some(9), Some(90)])
            }),
            ("one page under every number", 10, |number| {
                page(ten(1), [Some(number), None, None])
            }),
            ("one page with a total that grows", 10, |number| {
                page(
                    ten(1),
                    [Some(number), Some(number + 1), Some(number * 10 + 10)],
                )
            }),
            ("the last page again and again", 30, |number| {
                page(ten(number.min(3)), [Some(number), None, None])
            }),
            (
                "the last page, shortened meanwhile",
                30,
                |number| match number {
                    1..=3 => page(ten(number), [Some(number), None, None]),
                    _ => page(21..30, [Some(3), None, None]),
                },
            ),
            ("a total that is too small", 30, |number| match number {
                1..=3 => page(ten(number), [Some(number), Some(1), Some(3)]),
                _ => page([], [Some(number), Some(1), Some(3)]),
            }),
            ("a total that is too large", 30, |number| match number {
                1..=3 => page(ten(number), [Some(number), Some(999), Some(u64::MAX)]),
                _ => page([], [Some(number), Some(999), Some(u64::MAX)]),
            }),
            ("a list that shrinks", 20, |number| match number {
                1 => page(ten(1), [Some(1), Some(10), Some(100)]),
                2 => page(ten(2), [Some(2), Some(2), Some(20)]),
                _ => panic!("it is over"),
            }),
            ("totals of zero", 30, |number| match number {
                1..=3 => page(ten(number), [Some(number), Some(0), Some(0)]),
                _ => page([], [Some(number), Some(0), Some(0)]),
            }),
        ];
        for (lie, honest, serve) in servers {
            for start in [None, Some(1)] {
                let (ids, asked, end) = read(start, |number| serve(number.map_or(1, u64::from)));
                assert!(ids.into_iter().eq(0..honest), "{lie}");
                assert_eq!(end, None, "{lie}");
                assert!(asked.len() <= 4, "{lie}: {asked:?}");
            }
        }
    }

    #[test]
    fn cycles_of_any_length_end() {
        for period in 1..20 {
            let (mut ids, asked, end) = read(None, |number| {
                let number = number.map_or(0, |number| u64::from(number) - 1);
                page(ten(number % period + 1), [None; 3])
            });
            assert!(asked.len() as u64 <= 4 * period, "{asked:?}");
            assert_eq!(end, None);
            ids.sort_unstable();
            ids.dedup();
            assert!(ids.into_iter().eq(0..10 * period));
        }
    }

    #[test]
    fn an_endless_list_is_an_error_in_the_end() {
        let (ids, asked, end) = read(None, |number| {
            let number = number.map_or(1, u64::from);
            page([number], [Some(number), Some(u64::MAX), Some(u64::MAX)])
        });
        assert!(ids.into_iter().eq(1..=u64::from(MAX_PAGES)));
        assert_eq!(asked.len(), MAX_PAGES as usize);
        assert_eq!(end, Some(ErrorKind::Protocol));
    }

    #[test]
    fn records_without_an_identity_are_no_repeat() {
        let serve = |number: Option<u32>| {
            let number = number.map_or(1, u64::from);
            let mut page = page([], [Some(number), Some(3), Some(3)]);
            page.records.push(Item(None));
            page
        };
        let (ids, asked, _) = read(None, serve);
        assert_eq!((ids.len(), asked.len()), (3, 3));
        // But a number that stands still is one.
        let (ids, asked, _) = read(None, |_| serve(Some(1)));
        assert_eq!((ids.len(), asked.len()), (1, 2));
    }

    #[test]
    fn an_error_is_handed_out_once() {
        let mut calls = 0;
        let mut records = Records::new(None, |number| {
            calls += 1;
            match number {
                None => Ok(page(ten(1), [Some(1), Some(9), Some(90)])),
                Some(_) => Err(Error::new(ErrorKind::Unavailable, "")),
            }
        });
        assert_eq!(records.by_ref().take(10).flatten().count(), 10);
        let error = records.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(records.next().is_none());
        assert!(records.next().is_none());
        drop(records);
        assert_eq!(calls, 2);
    }

    #[test]
    fn sizes_are_known_from_the_first_page_on() {
        let mut records = Records::new(None, |number| {
            let number = number.map_or(1, u64::from);
            Ok(page(ten(number), [Some(number), Some(2), Some(20)]))
        });
        assert_eq!((records.total(), records.size_hint()), (None, (0, None)));
        records.next();
        assert_eq!(records.total(), Some(20));
        assert_eq!(records.size_hint(), (9, Some(19)));
        assert_eq!(records.by_ref().count(), 19);
        assert_eq!(records.size_hint(), (0, Some(0)));
    }

    #[test]
    fn a_huge_total_reserves_nothing() {
        let (ids, ..) = read(None, |number| match number {
            None => page([7], [Some(1), None, Some(u64::MAX)]),
            Some(_) => page([], [None; 3]),
        });
        assert_eq!(ids, [7]);
    }

    #[test]
    fn page_numbers_end_where_they_no_longer_fit() {
        let last = i32::MAX.unsigned_abs();
        let (ids, asked, end) = read(Some(last), |_| page([7], [None; 3]));
        assert_eq!((ids, asked, end), (vec![7], vec![Some(last)], None));
        // A first page with an absurd number.
        let (ids, ..) = read(None, |_| page([7], [Some(u64::MAX), None, None]));
        assert_eq!(ids, [7]);
    }

    #[test]
    fn records_travel_between_threads_and_print_none() {
        fn is_send<T: Send>(_: &T) {}
        let mut records = Records::new(None, |_| Ok(page([424_242], [None; 3])));
        is_send(&records);
        records.next();
        assert!(!format!("{records:?}").contains("424242"));
    }

    #[test]
    fn counts_are_read_leniently() {
        let read = |json: &str| serde_json::from_str::<PageInfo>(json).unwrap();
        let info = read(
            r#"{"currnet_page_number":"2","current_page_size":10.0,
                "total_page_count":-1,"total_record_count":null}"#,
        );
        assert_eq!(info.current_page_number, Some(2));
        assert_eq!(info.current_page_size, Some(10));
        assert_eq!(info.total_page_count, None);
        assert_eq!(info.total_record_count, None);
        assert_eq!(
            read(r#"{"total_page_count":[{}],"more":1}"#),
            PageInfo::default()
        );
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let fits = PageQuery::new()
            .page_number(i32::MAX.unsigned_abs())
            .page_size(0);
        let pairs = fits.pairs().unwrap();
        assert_eq!(
            pairs,
            [
                ("page_number", "2147483647".to_owned()),
                ("page_size", "0".to_owned())
            ]
        );
        for query in [
            PageQuery::new().page_number(1 << 31),
            PageQuery::new().page_size(u32::MAX),
        ] {
            assert_eq!(query.pairs().unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
