//! Pages of a list: the iterator asks for one page after the other, yields the
//! records of each, and ends with the first error.
#![no_main]

use std::sync::LazyLock;

use autharmor::users::UserQuery;
use autharmor::{Client, Error, ErrorKind, PageQuery};
use autharmor_fuzz::{Response, Service, USER, alloc, assert_no_secrets, split_selector};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::IgnoredAny;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

const RECORDS: usize = 200;

// The first byte selects the list and its first page. The pages follow,
// separated by zero bytes. The last one is repeated.
fuzz_target!(|data: &[u8]| {
    let Some((bits, pages)) = split_selector(data) else {
        return;
    };
    let pages: Vec<_> = pages.split(|byte| *byte == 0).collect();
    SERVICE.respond_with(pages.iter().map(|page| Response::ok(page)));
    let [v3, v4] = &*CLIENTS;
    let start = (bits >> 2 & 1 == 1).then_some((bits >> 3) as u32);
    let mut query = PageQuery::new();
    query.page_number = start;
    alloc::bounded(|| match bits % 3 {
        0 => {
            let mut users = UserQuery::new();
            users.page = query;
            check(v3.users(users), "user_records", &pages, start);
        }
        1 => check(
            v3.auth_history(USER, &query),
            "auth_history_records",
            &pages,
            start,
        ),
        _ => check(
            v4.credentials(USER, &query),
            "credential_records",
            &pages,
            start,
        ),
    });
});

fn check<T>(
    mut records: impl Iterator<Item = Result<T, Error>>,
    field: &str,
    pages: &[&[u8]],
    start: Option<u32>,
) {
    let mut yielded = 0;
    let mut failed = false;
    for record in records.by_ref().take(RECORDS) {
        assert!(!failed, "it goes on after an error");
        match record {
            Ok(_) => yielded += 1,
            Err(error) => {
                failed = true;
                assert_no_secrets(&error, &[]);
                let kind = error.kind();
                assert!(
                    matches!(
                        kind,
                        ErrorKind::Decode | ErrorKind::Api | ErrorKind::Protocol
                    ),
                    "{kind:?}"
                );
            }
        }
    }
    let requests = SERVICE.requests();
    assert!(!requests.is_empty());
    // Every page but the last is followed by a record, an error or the end.
    assert!(requests.len() <= yielded + 1, "more pages than records");

    // Without a start, the first page has no number. Then they count upwards.
    let numbers: Vec<_> = requests.iter().map(|r| page_number(&r.uri)).collect();
    assert_eq!(numbers[0], start);
    for pair in numbers.windows(2) {
        match pair {
            [Some(a), Some(b)] => assert_eq!(*b, a + 1),
            [None, Some(_)] => assert_eq!(start, None),
            other => panic!("{other:?}"),
        }
    }
    if yielded == RECORDS || failed {
        return;
    }
    assert!(records.next().is_none());
    // At its end, the iterator has yielded every record of the pages, except of
    // a last page that it takes for a repetition.
    let lengths: Option<Vec<_>> = (0..requests.len())
        .map(|number| record_count(pages[number.min(pages.len() - 1)], field))
        .collect();
    let Some(lengths) = lengths else { return };
    let all: usize = lengths.iter().sum();
    let last = lengths.last().copied().unwrap_or(0);
    assert!(
        yielded == all || yielded == all - last,
        "{yielded} of {lengths:?}"
    );
}

/// Counts the records of a page. `None` if it is no object, or has records of
/// another list.
fn record_count(page: &[u8], field: &str) -> Option<usize> {
    type Records = Option<Vec<IgnoredAny>>;
    #[derive(Deserialize)]
    struct Page {
        user_records: Records,
        auth_history_records: Records,
        credential_records: Records,
    }
    if !page.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let page: Page = serde_json::from_slice(page).ok()?;
    let mut count = 0;
    for (name, records) in [
        ("user_records", page.user_records),
        ("auth_history_records", page.auth_history_records),
        ("credential_records", page.credential_records),
    ] {
        match records {
            Some(records) if name == field => count = records.len(),
            Some(_) => return None,
            None => {}
        }
    }
    Some(count)
}

fn page_number(uri: &str) -> Option<u32> {
    let (_, query) = uri.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("page_number="))
        .map(|number| number.parse().expect("a number"))
}
