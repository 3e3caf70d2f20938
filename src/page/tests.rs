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

/// Reads the whole list. Returns the ids of the records, the page numbers that
/// were asked for, and the kind of the error, if any.
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
    // The number of the first page, and whether pages have a number.
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

/// A record that counts the records in memory.
#[derive(Serialize)]
struct Alive {
    id: u64,
    #[serde(skip)]
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
    // The records of one page, the closure's counter and this test's.
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
fn an_empty_page_ends_the_iteration() {
    for info in [
        [None, None, None],
        [Some(1), Some(0), Some(0)],
        [Some(1), Some(7), Some(70)],
    ] {
        let (ids, asked, end) = read(None, |_| page([], info));
        assert_eq!((ids.len(), asked.len(), end), (0, 1, None));
    }
}

/// Servers whose lists never end. Reading stops, with all real records.
#[test]
fn servers_that_report_wrong_pages_are_read_to_an_end() {
    type Server = fn(u64) -> Page<Item>;
    let servers: [(&str, u64, Server); 10] = [
        ("one page, no page info", 10, |_| page(ten(1), [None; 3])),
        ("one page with its number", 10, |_| {
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
fn counts_of_zero_do_not_end_a_list_with_records() {
    let serve = |number: Option<u32>| {
        let number = number.map_or(1, u64::from);
        let ids = if number > 3 { 0..0 } else { ten(number) };
        page(ids, [Some(0), Some(0), None])
    };
    assert_eq!(read(Some(1), serve).0.len(), 30);
}

#[test]
fn a_server_that_repeats_its_pages_is_read_to_an_end() {
    for period in [1, 2, 3, 19] {
        let (mut ids, asked, end) = read(None, |number| {
            let number = number.map_or(0, |number| u64::from(number) - 1);
            page(ten(number % period + 1), [None; 3])
        });
        // A repeat of the page before ends it, and in any case the limit.
        if period == 1 {
            assert_eq!((asked.len(), end), (2, None));
        } else {
            assert_eq!(asked.len(), MAX_PAGES as usize);
            assert_eq!(end, Some(ErrorKind::Protocol));
        }
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.into_iter().eq(0..10 * period));
    }
}

#[test]
fn an_endless_list_is_an_error() {
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
    for (pages, total) in [(Some(3), Some(3)), (Some(3), None), (None, Some(3))] {
        let (ids, asked, _) = read(None, |number| {
            let mut page = serve(number);
            page.page_info.total_page_count = pages;
            page.page_info.total_record_count = total;
            page
        });
        assert_eq!((ids.len(), asked.len()), (3, 3), "{pages:?} {total:?}");
    }
    // A page number that stays the same is a repeat.
    let (ids, asked, _) = read(None, |_| serve(Some(1)));
    assert_eq!((ids.len(), asked.len()), (1, 2));
}

/// A history of pending sign-ins, which have no ids, on a server that sends the
/// same page whatever is asked for.
#[test]
fn a_server_that_ignores_paging_is_read_to_an_end_without_ids() {
    for start in [None, Some(1), Some(7)] {
        for info in [
            [None, None, None],
            [Some(0), None, None],
            [Some(1), None, None],
            [Some(1), Some(9), Some(90)],
            [None, Some(9), Some(90)],
            [None, None, Some(25)],
            [Some(u64::MAX), None, Some(u64::MAX)],
        ] {
            let (ids, asked, end) = read(start, |_| {
                let mut page = page([], info);
                page.records = vec![Item(None); 10];
                page
            });
            assert_eq!((ids.len(), end), (10, None), "{start:?} {info:?}");
            assert!(asked.len() <= 2, "{start:?} {info:?}: {asked:?}");
        }
    }
    // The server repeats the number that was asked for.
    for [pages, total] in [[None, None], [Some(1), Some(10)], [None, Some(25)]] {
        let (ids, asked, end) = read(None, |number| {
            let mut page = page([], [Some(number.map_or(1, u64::from)), pages, total]);
            page.records = vec![Item(None); 10];
            page
        });
        assert!(ids.len() <= 30 && asked.len() <= 3, "{asked:?}");
        assert_eq!(end, None);
    }
}

/// Pages whose records have no ids but differ are all read.
#[test]
fn different_pages_without_ids_are_read() {
    #[derive(Serialize)]
    struct Entry(u64);
    impl Record for Entry {
        const FIELD: &'static str = "auth_history_records";

        fn identity(&self) -> Option<impl Hash> {
            None::<u64>
        }
    }
    let records = Records::new(None, |number| {
        let number = number.map_or(1, u64::from);
        let count = if number > 5 { 0 } else { 10 };
        Ok(Page {
            records: (0..count).map(|_| Entry(number)).collect(),
            page_info: PageInfo::default(),
        })
    });
    assert_eq!(records.count(), 50);
}

#[test]
fn an_error_ends_the_iteration() {
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
fn a_huge_total_reserves_no_memory() {
    let (ids, ..) = read(None, |number| match number {
        None => page([7], [Some(1), None, Some(u64::MAX)]),
        Some(_) => page([], [None; 3]),
    });
    assert_eq!(ids, [7]);
    // Less than 32 bits can hold is left of more than they can hold.
    let total = (1 << 32) + 10;
    let mut records = Records::new(None, move |_| {
        Ok(page(ten(1), [Some(1), None, Some(total)]))
    });
    records.next();
    let upper = usize::try_from((1_u64 << 32) + 9).ok();
    assert_eq!(records.size_hint(), (9, upper));
}

#[test]
fn reading_ends_at_the_largest_page_number() {
    let last = i32::MAX.unsigned_abs();
    let (ids, asked, end) = read(Some(last), |_| page([7], [None; 3]));
    assert_eq!((ids, asked, end), (vec![7], vec![Some(last)], None));
    // A first page with an absurd number.
    let (ids, ..) = read(None, |_| page([7], [Some(u64::MAX), None, None]));
    assert_eq!(ids, [7]);
}

#[test]
fn records_is_send_and_its_debug_shows_no_record() {
    fn is_send<T: Send>(_: &T) {}
    let mut records = Records::new(None, |_| Ok(page([424_242], [None; 3])));
    is_send(&records);
    records.next();
    let text = format!("{records:?}");
    assert!(
        text.contains("pages: 1") && !text.contains("424242"),
        "{text}"
    );
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

#[test]
fn a_query_is_serialised_with_the_names_that_are_sent() {
    let query = PageQuery::new()
        .page_number(2)
        .sort_column("username")
        .sort_direction(SortDirection::Desc);
    let json = serde_json::to_value(&query).unwrap();
    let expected = serde_json::json!({
        "page_number": 2, "sort_column": "username", "sort_direction": "desc",
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<PageQuery>(json).unwrap(), query);
    let empty: PageQuery = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, PageQuery::new());
}

#[test]
fn both_spellings_of_a_field_may_be_sent() {
    let read = |json: &str| serde_json::from_str::<PageInfo>(json).unwrap();
    for json in [
        r#"{"currnet_page_number":2,"current_page_number":2,"currnet_page_size":10,"current_page_size":10}"#,
        r#"{"currnet_page_number":1,"current_page_number":2,"current_page_size":10,"currnet_page_size":7}"#,
        r#"{"currnet_page_number":2,"current_page_number":null,"currnet_page_size":10}"#,
        r#"{"current_page_number":2,"current_page_size":10,"currnet_page_size":"?"}"#,
    ] {
        let info = read(json);
        assert_eq!(info.current_page_number, Some(2), "{json}");
        assert_eq!(info.current_page_size, Some(10), "{json}");
    }
    let page: Page<serde_json::Value> = serde_json::from_str(
        r#"{"user_records":null,"auth_history_records":[{"a":1}],"credential_records":[]}"#,
    )
    .unwrap();
    assert_eq!(page.records, [serde_json::json!({"a": 1})]);
}

#[test]
fn arrays_are_not_read_as_objects() {
    #[derive(Debug, Deserialize)]
    struct Entry {
        #[expect(dead_code, reason = "decoded only")]
        id: u64,
    }
    let read = |json: &str| serde_json::from_str::<Page<Entry>>(json);
    assert!(read(r#"{"user_records":[{"id":1}],"page_info":null}"#).is_ok());
    for json in [
        r#"{"user_records":[[1]]}"#,
        r#"{"auth_history_records":[{"id":1},[1]]}"#,
        r#"{"credential_records":[null]}"#,
        r#"{"user_records":{"id":1}}"#,
        r#"{"user_records":[],"page_info":[1,2,3,4]}"#,
    ] {
        assert!(read(json).is_err(), "{json}");
    }
}
