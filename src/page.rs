//! Paging: [`PageQuery`], [`Page`], and [`Records`], the iterator over all
//! records of a list.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::FusedIterator;
use std::vec;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::types::{lenient_text, object_or_default, objects};

/// The largest number of pages that [`Records`] reads.
const MAX_PAGES: u32 = 100_000;

/// The direction in which a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortDirection {
    /// The smallest or earliest first.
    Asc,
    /// The largest or latest first.
    Desc,
}

impl SortDirection {
    /// Returns the text that is sent: `asc` or `desc`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// The page of a list to fetch, and the order of its records. A value that is
/// not set is not sent, and the service decides.
///
/// Unverified: the number of the first page, the default and the largest page
/// size, and the columns that a list can be sorted by.
///
/// Serialises with the names and values that are sent, without those that are
/// not set.
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PageQuery {
    /// See [`page_number`](Self::page_number).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_number: Option<u32>,
    /// See [`page_size`](Self::page_size).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// See [`sort_column`](Self::sort_column).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_column: Option<String>,
    /// See [`sort_direction`](Self::sort_direction).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort_direction: Option<SortDirection>,
}

impl PageQuery {
    /// Creates a query in which nothing is set: the first page, in the
    /// service's own order and size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the number of the page, at most 2,147,483,647; a larger one is
    /// refused when the call is sent. Whether the first page is 0 or 1 is
    /// unverified.
    #[must_use]
    pub fn page_number(mut self, number: u32) -> Self {
        self.page_number = Some(number);
        self
    }

    /// Sets the number of records per page, at most 2,147,483,647; a larger one
    /// is refused when the call is sent. The service's own limit is unverified.
    #[must_use]
    pub fn page_size(mut self, size: u32) -> Self {
        self.page_size = Some(size);
        self
    }

    /// Sets the field of the record to sort by, such as `username` or
    /// `date_created`. Which fields the service accepts is unverified.
    #[must_use]
    pub fn sort_column(mut self, column: impl Into<String>) -> Self {
        self.sort_column = Some(column.into());
        self
    }

    /// Sets the direction to sort in.
    #[must_use]
    pub fn sort_direction(mut self, direction: SortDirection) -> Self {
        self.sort_direction = Some(direction);
        self
    }

    /// Returns the query parameters that are set. Fails if a number does not fit
    /// an int32.
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

/// A type that is listed page by page.
pub trait Record: Serialize {
    /// The name of the array that holds these records in a response.
    const FIELD: &'static str;

    /// Returns the record's id, if it has one.
    fn identity(&self) -> Option<impl Hash>;
}

/// One page of a list.
///
/// In JSON the records are `user_records`, `auth_history_records` or
/// `credential_records`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "RawPage<T>", bound(deserialize = "T: Deserialize<'de>"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The records; empty if the service sent none.
    pub records: Vec<T>,
    /// The position of this page in the list.
    pub page_info: PageInfo,
}

/// A page with a field for each name of its records.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct RawPage<T> {
    #[serde(default = "Vec::new", deserialize_with = "objects")]
    user_records: Vec<T>,
    #[serde(default = "Vec::new", deserialize_with = "objects")]
    auth_history_records: Vec<T>,
    #[serde(default = "Vec::new", deserialize_with = "objects")]
    credential_records: Vec<T>,
    #[serde(default, deserialize_with = "object_or_default")]
    page_info: PageInfo,
}

impl<T> From<RawPage<T>> for Page<T> {
    fn from(raw: RawPage<T>) -> Self {
        let mut records = raw.user_records;
        records.extend(raw.auth_history_records);
        records.extend(raw.credential_records);
        Self {
            records,
            page_info: raw.page_info,
        }
    }
}

impl<T: Record> Serialize for Page<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut page = serializer.serialize_struct("Page", 2)?;
        page.serialize_field(T::FIELD, &self.records)?;
        page.serialize_field("page_info", &self.page_info)?;
        page.end()
    }
}

/// The position of a page in a list, as the service reports it. `None`: not
/// reported, or not a number.
///
/// The service misspells two of the names in JSON. The right spelling is read as
/// well; if both are there, the right one is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "RawPageInfo")]
#[non_exhaustive]
pub struct PageInfo {
    /// The number of this page.
    #[serde(rename = "currnet_page_number")]
    pub current_page_number: Option<u64>,
    /// The number of records per page.
    #[serde(rename = "currnet_page_size")]
    pub current_page_size: Option<u64>,
    /// The number of pages in the list.
    pub total_page_count: Option<u64>,
    /// The number of records in the list.
    pub total_record_count: Option<u64>,
}

/// A page's position with a field for each spelling.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawPageInfo {
    #[serde(deserialize_with = "count")]
    current_page_number: Option<u64>,
    #[serde(deserialize_with = "count")]
    currnet_page_number: Option<u64>,
    #[serde(deserialize_with = "count")]
    current_page_size: Option<u64>,
    #[serde(deserialize_with = "count")]
    currnet_page_size: Option<u64>,
    #[serde(deserialize_with = "count")]
    total_page_count: Option<u64>,
    #[serde(deserialize_with = "count")]
    total_record_count: Option<u64>,
}

impl From<RawPageInfo> for PageInfo {
    fn from(raw: RawPageInfo) -> Self {
        Self {
            current_page_number: raw.current_page_number.or(raw.currnet_page_number),
            current_page_size: raw.current_page_size.or(raw.currnet_page_size),
            total_page_count: raw.total_page_count,
            total_record_count: raw.total_record_count,
        }
    }
}

/// Reads a number leniently: a strange page number must not cost the caller a
/// page of good records.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = lenient_text(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse().ok()))
}

type Fetch<'a, T> = Box<dyn FnMut(Option<u32>) -> Result<Page<T>, Error> + Send + 'a>;

/// Iterator over all records of a list. It fetches the next page when the
/// records of the previous one are used up.
///
/// Made by [`Client::users`](crate::Client::users),
/// [`Client::auth_history`](crate::Client::auth_history) and
/// [`Client::credentials`](crate::Client::credentials). One page is held in
/// memory at a time. After an error the iterator has ended.
///
/// Reading begins with the page number of the query. If it has none, the first
/// request has no page number either, and reading continues from the number that
/// the service reports for that page, or from 1 if it reports none. Reading
/// ends with the first page that
///
/// - is empty, or
/// - completes the total number of records; if that number is not reported, or
///   if reading began with a later page: is the last one by the total number of
///   pages, or
/// - repeats the page before: has records of the same ids, or a page number that
///   is not larger, or equal records if they have no ids and the service does
///   not report the position of the page.
///
/// Reading continues if the records contradict the total. A list that has not
/// ended after 100,000 pages is an error of kind [`ErrorKind::Protocol`]; for a
/// longer list, use larger pages or begin with a later
/// [`page_number`](crate::PageQuery::page_number).
///
/// Pages are not a snapshot: if records are added or removed while a list is
/// read, a record can be missed or returned twice.
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
    /// The number of the page to fetch next.
    next: Option<u32>,
    /// Whether reading began with the first page, as far as one can tell.
    from_start: bool,
    ended: bool,
    /// The records of the current page that are still to be returned.
    page: vec::IntoIter<T>,
    /// The number of pages and records received so far.
    pages: u32,
    received: u64,
    total: Option<u64>,
    /// The current page's number, if the service reported the one asked for.
    page_number: Option<u64>,
    fingerprint: Option<u64>,
}

impl<'a, T: Record> Records<'a, T> {
    /// `fetch` takes the number of the page; `None` is the first page.
    pub(crate) fn new(
        start: Option<u32>,
        fetch: impl FnMut(Option<u32>) -> Result<Page<T>, Error> + Send + 'a,
    ) -> Self {
        Self {
            fetch: Box::new(fetch),
            next: start,
            from_start: start.is_none_or(|number| number <= 1),
            ended: false,
            page: Vec::new().into_iter(),
            pages: 0,
            received: 0,
            total: None,
            page_number: None,
            fingerprint: None,
        }
    }

    /// Fetches the next page. Sets `ended` if it is the last one, or if it is
    /// empty or a repeat.
    fn fetch_next_page(&mut self) -> Result<(), Error> {
        // Any return before the end of this function ends the iteration.
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
        let reported = page_info.current_page_number;
        self.total = page_info.total_record_count.or(self.total);
        let confirmed =
            reported.filter(|reported| asked.is_none_or(|asked| u64::from(asked) == *reported));
        let has_position =
            confirmed.is_some() && (self.total.is_some() || page_info.total_page_count.is_some());
        let fingerprint = fingerprint(&records, !has_position);
        if records.is_empty() || self.is_repeat(fingerprint, reported) {
            return Ok(());
        }

        self.pages += 1;
        self.received = self.received.saturating_add(records.len() as u64);
        self.page = records.into_iter();
        self.page_number = confirmed;
        self.fingerprint = fingerprint;

        let is_last = match self.total {
            // Records without ids do not contradict the total.
            Some(total) if self.from_start => {
                self.received == total || (fingerprint.is_none() && self.received > total)
            }
            _ => reported
                .is_some_and(|number| number > 0 && page_info.total_page_count == Some(number)),
        };
        let number = asked.or_else(|| reported?.try_into().ok()).unwrap_or(1);
        self.next = number
            .checked_add(1)
            .filter(|next| i32::try_from(*next).is_ok());
        self.ended = is_last || self.next.is_none();
        Ok(())
    }

    fn is_repeat(&self, fingerprint: Option<u64>, reported: Option<u64>) -> bool {
        let same_records = fingerprint.is_some() && self.fingerprint == fingerprint;
        let same_number = self
            .page_number
            .is_some_and(|current| reported.is_some_and(|reported| reported <= current));
        same_records || same_number
    }
}

impl<T> Records<'_, T> {
    /// Returns the number of records in the whole list, as the service reported
    /// it with the page read last. `None` before the first page, and if the
    /// service does not report it. The number can be wrong.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// Hashes the ids of a page's records. If no record has one, hashes their whole
/// content if `by_content`, else returns `None`: sign-ins that are pending have
/// no id, and different ones can look alike.
fn fingerprint<T: Record>(records: &[T], by_content: bool) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut has_ids = false;
    for record in records {
        let identity = record.identity();
        has_ids |= identity.is_some();
        identity.hash(&mut hasher);
    }
    if !has_ids {
        let content = by_content.then(|| serde_json::to_vec(records).ok())??;
        content.hash(&mut hasher);
    }
    Some(hasher.finish())
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
            if let Err(error) = self.fetch_next_page() {
                return Some(Err(error));
            }
        }
    }

    /// The lower bound is what is left of the current page. The upper bound is
    /// as right as the service's total; there is none before the first page.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.page.len();
        if self.ended {
            return (left, Some(left));
        }
        let to_fetch = self
            .total
            .filter(|_| self.from_start)
            .and_then(|total| total.checked_sub(self.received));
        let upper = to_fetch.and_then(|to_fetch| left.checked_add(to_fetch.try_into().ok()?));
        (left, upper)
    }
}

impl<T: Record> FusedIterator for Records<'_, T> {}

/// Shows the progress, and no record.
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
mod tests;
