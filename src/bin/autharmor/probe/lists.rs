//! Open points about lists.

use autharmor::users::{UserQuery, list_users};
use autharmor::{ApiVersion, PageQuery};

use super::points::{Open, Reading, Settled, no_response};
use super::session::{Seen, Session, random_id};

/// Page sizes to ask for, and sizes that may be shown.
const SIZES: [u32; 5] = [50, 100, 200, 500, 1000];
const USUAL_SIZES: [u64; 9] = [10, 15, 20, 25, 50, 100, 200, 500, 1000];

const COLUMNS: [&str; 4] = ["user_id", "username", "email_address", "date_created"];

pub(super) fn paging(session: &mut Session) -> Reading {
    let version = session.reads;
    let mut page = |name: &str, query: PageQuery| {
        let name = format!("{} list_users, {name}", version.as_str());
        session.call_as(&name, version, &list_users(query), |http| http)
    };
    let one = PageQuery::new().page_size(1);
    let Some(default) = page("page size 1", one.clone()) else {
        return no_response();
    };
    let numbered = [0, 1].map(|number| {
        let seen = page(&format!("page {number}"), one.clone().page_number(number));
        seen.filter(Seen::is_ok).is_some_and(|seen| {
            default.first_user().is_some() && seen.first_user() == default.first_user()
        })
    });
    let first = match numbered {
        [true, true] => "pages 0 and 1 are both the first",
        [true, false] => "the first page is 0",
        [false, true] => "the first page is 1",
        [false, false] => "",
    };

    let size_of = |seen: &Seen| seen.body["page_info"]["currnet_page_size"].as_u64();
    let usual = page("no page size", PageQuery::new());
    let usual = match usual.as_ref().and_then(size_of) {
        Some(size) if USUAL_SIZES.contains(&size) => format!("{size} by default"),
        Some(_) => "an unusual size by default".to_owned(),
        None => "an unknown size by default".to_owned(),
    };
    let mut largest = "none of the sizes is granted".to_owned();
    for size in SIZES {
        let seen = page(
            &format!("page size {size}"),
            PageQuery::new().page_size(size),
        );
        match seen {
            Some(seen) if seen.is_ok() && size_of(&seen) == Some(size.into()) => {
                largest = format!("{size} is granted");
            }
            Some(seen) if seen.is_ok() => {
                largest = format!("{largest}, {size} is reduced");
                break;
            }
            Some(seen) => {
                largest = format!("{largest}, {size} is refused (status {})", seen.status);
                break;
            }
            None => break,
        }
    }

    let mut sorted = |column: &str| {
        let query = one.clone().sort_column(column);
        page(&format!("sorted by {column}"), query).is_some_and(|seen| seen.is_ok())
    };
    let accepted: Vec<_> = COLUMNS
        .into_iter()
        .filter(|column| sorted(column))
        .collect();
    let unknown = if sorted("no_such_column") {
        "an unknown one is not refused"
    } else {
        "an unknown one is refused"
    };
    let rest = format!(
        "page size: {usual}, {largest}; sort columns: {}, {unknown}",
        accepted.join(", ")
    );
    if first.is_empty() {
        Open(format!(
            "the first page is not clear, are there users?; {rest}"
        ))
    } else {
        Settled(format!("{first}; {rest}"))
    }
}

pub(super) fn name_filter(session: &mut Session) -> Reading {
    let users = session.users();
    let Some(user) = users
        .iter()
        .find(|it| it.name.is_ascii() && it.name.len() >= 4)
    else {
        return Open("the project has no user with a name of 4 letters or more".to_owned());
    };
    let part = user.name.get(1..user.name.len() - 1).unwrap_or_default();
    let nobody = format!("zz-probe-{}", random_id());
    // In the header of v3: no name is part of a URL.
    let mut matches = |what: &str, text: &str| {
        let query = UserQuery::new()
            .username(text.trim())
            .page(PageQuery::new().page_size(1));
        let name = format!("v3 list_users, filtered by {what}");
        let seen = session.call_as(&name, ApiVersion::V3, &list_users(query), |http| http)?;
        seen.is_ok().then(|| seen.first_user().is_some())
    };
    let found = [
        matches("a name", &user.name),
        matches("a part of it", part),
        matches("a name that nobody has", &nobody),
    ];
    match found {
        [Some(true), Some(true), Some(false)] => Settled("it matches parts of names".to_owned()),
        [Some(true), Some(false), Some(false)] => Settled("it matches whole names".to_owned()),
        [_, _, Some(true)] => Settled("v3 ignores the filter".to_owned()),
        _ => Open("the filter was refused or found nothing".to_owned()),
    }
}
