//! [`POINTS`]: the open points of the manual, in its order.

use autharmor::auth::{StartWebauthnAuth, ValidateAuth};
use autharmor::auth::{get_auth_info, start_webauthn_auth, validate_authenticator_auth};
use autharmor::users::{get_user, get_user_auth_history, list_users};
use autharmor::{ApiVersion, PageQuery, Secret};
use serde_json::Value;

use super::session::{Form, Seen, Session, User, random_id};
use super::{lists, signing_in};

/// What the responses say about a question.
pub(super) enum Reading {
    Settled(String),
    /// With the reason why it is still open.
    Open(String),
}

pub(super) use Reading::{Open, Settled};

/// A question that no public source settles.
pub(super) struct Point {
    pub(super) id: &'static str,
    pub(super) question: &'static str,
    /// Makes the calls and reads the responses.
    pub(super) ask: fn(&mut Session) -> Reading,
    /// Whether it looks at the responses of all other points.
    pub(super) looks_back: bool,
}

const fn point(
    id: &'static str,
    question: &'static str,
    ask: fn(&mut Session) -> Reading,
) -> Point {
    Point {
        id,
        question,
        ask,
        looks_back: false,
    }
}

const fn looking_back(
    id: &'static str,
    question: &'static str,
    ask: fn(&mut Session) -> Reading,
) -> Point {
    Point {
        looks_back: true,
        ..point(id, question, ask)
    }
}

/// One row for each row of the manual's chapter "What is unverified".
pub(super) const POINTS: [Point; 20] = [
    point("v3-served", "Is v3 still served?", v3_served),
    point(
        "refused-validate",
        "Does a refused validate call have an error status, or status 200 and authorized false?",
        refused_validate,
    ),
    point(
        "second-validate",
        "What is the response to a second validate call with the same token?",
        signing_in::second_validate,
    ),
    point(
        "v3-webauthn-nonce",
        "Does v3 take a nonce for a WebAuthn sign-in?",
        v3_webauthn_nonce,
    ),
    point(
        "v3-registration-token",
        "Does v3 send the token that v4's validation of a registration needs?",
        signing_in::v3_registration_token,
    ),
    looking_back(
        "rate-limit",
        "Is there a rate limit? Does a 429 have a Retry-After?",
        rate_limit,
    ),
    point(
        "paging",
        "Is the first page 0 or 1? How large can pages be? By which columns can lists be sorted?",
        lists::paging,
    ),
    point(
        "name-filter",
        "Does the name filter of the user list match whole names or parts?",
        lists::name_filter,
    ),
    point(
        "non-ascii-names",
        "Does the service read names that are not ASCII from a header?",
        non_ascii_names,
    ),
    looking_back(
        "null-fields",
        "Which fields can be null or missing? Do dates have a time zone?",
        null_fields,
    ),
    looking_back(
        "enum-values",
        "Which other values do the enums have?",
        enum_values,
    ),
    point(
        "attachment-type",
        "Which attachment_type does a WebAuthn registration have by default?",
        signing_in::attachment_type,
    ),
    point(
        "response-code",
        "What do response_code and response_message of a started sign-in mean?",
        signing_in::response_code,
    ),
    point(
        "disable-twice",
        "Is it an error to disable a credential that is disabled?",
        signing_in::disable_twice,
    ),
    point(
        "auth-history-id",
        "Is auth_history_id the id of the request?",
        auth_history_id,
    ),
    point(
        "basic-encoding",
        "Are id and secret form-encoded in HTTP Basic?",
        basic_encoding,
    ),
    point(
        "token-error",
        "With which status does the token endpoint refuse credentials?",
        token_error,
    ),
    point(
        "signed-bytes",
        "Which bytes does a phone sign?",
        signing_in::signed_bytes,
    ),
    point(
        "passkey-challenge",
        "How does a passkey's challenge relate to the signed data? Which form has its public key?",
        passkey_challenge,
    ),
    point(
        "signed-decline",
        "Does a phone also sign when the user declines?",
        signing_in::signed_decline,
    ),
];

/// The reading if there was no response.
pub(super) fn no_response() -> Reading {
    Open("there was no response".to_owned())
}

fn v3_served(session: &mut Session) -> Reading {
    let request = list_users(PageQuery::new().page_size(1));
    let v3 = session.call(ApiVersion::V3, &request);
    let v4 = session.call(ApiVersion::V4, &request);
    let (Some(v3), Some(v4)) = (v3, v4) else {
        return no_response();
    };
    let describe = |seen: &Seen| match seen.status {
        200..=299 if seen.body["user_records"].is_array() => Some("served".to_owned()),
        404 | 410 | 300..=399 => Some(format!("not served (status {})", seen.status)),
        _ => None,
    };
    match (describe(&v3), describe(&v4)) {
        (Some(v3), Some(v4)) => Settled(format!("v3 is {v3}; v4 is {v4}")),
        _ => Open(format!(
            "statuses {} under v3, {} under v4",
            v3.status, v4.status
        )),
    }
}

fn refused_validate(session: &mut Session) -> Reading {
    let unknown = ValidateAuth::new(random_id(), Secret::from("probe"));
    let Some(seen) = session.call(session.reads, &validate_authenticator_auth(&unknown)) else {
        return no_response();
    };
    let reading = format!("an unknown request: {}", verdict(&seen));
    // With consent, and if the person declines or does nothing.
    let validated = session.sign_in().and_then(|made| made.validated[0].clone());
    if let Some(seen) = validated.filter(|seen| authorized(&seen.body) != Some(true)) {
        let declined = verdict(&seen);
        return Settled(format!(
            "{reading}; a sign-in that was not approved: {declined}"
        ));
    }
    Settled(format!(
        "{reading}; for one that is declined, use --sign-in and decline"
    ))
}

/// Describes the response to a validate call.
pub(super) fn verdict(seen: &Seen) -> String {
    match (seen.is_ok(), authorized(&seen.body)) {
        (false, _) => format!("error status {}", seen.status),
        (true, Some(value)) => format!("status {} and authorized {value}", seen.status),
        (true, None) => format!("status {} without authorized", seen.status),
    }
}

/// Returns `authorized` of a validate response.
pub(super) fn authorized(body: &Value) -> Option<bool> {
    body["validate_auth_response_details"]["authorized"].as_bool()
}

fn v3_webauthn_nonce(session: &mut Session) -> Reading {
    // Refused in any case: there is no such user.
    let request = start_webauthn_auth(&StartWebauthnAuth::new().user(random_id()));
    let mut start_with = |field: Option<&str>| {
        let name = match field {
            None => "v3 start_webauthn_auth".to_owned(),
            Some(field) => format!("v3 start_webauthn_auth, with {field}"),
        };
        let seen = session.call_as(&name, ApiVersion::V3, &request, |mut http| {
            let mut body: Value = serde_json::from_slice(http.body()).unwrap_or_default();
            if let Some(field) = field {
                body[field] = "probe".into();
            }
            *http.body_mut() = body.to_string().into_bytes();
            http
        });
        seen.map(|seen| seen.status)
    };
    let plain = start_with(None);
    let nonce = start_with(Some("nonce"));
    let unknown = start_with(Some("no_such_field"));
    let (Some(plain), Some(nonce), Some(unknown)) = (plain, nonce, unknown) else {
        return no_response();
    };
    if nonce != plain {
        Settled(format!("v3 refuses the field (status {nonce})"))
    } else if unknown != plain {
        Settled(format!(
            "v3 takes it: only an unknown field is refused (status {unknown})"
        ))
    } else {
        Open("v3 refuses neither a nonce nor an unknown field".to_owned())
    }
}

fn rate_limit(session: &mut Session) -> Reading {
    let limits: Vec<_> = session.limits.iter().map(String::as_str).collect();
    let headers = if limits.is_empty() {
        "no header about it".to_owned()
    } else {
        format!("headers {}", limits.join(", "))
    };
    match (session.too_many, limits.is_empty()) {
        (true, _) => Settled(format!("there is a limit: status 429, {headers}")),
        (false, false) => Settled(format!("there seems to be a limit: {headers}")),
        (false, true) => Open(format!("no 429 in {} calls, {headers}", session.total)),
    }
}

fn non_ascii_names(session: &mut Session) -> Reading {
    let users = session.users();
    let known = users.iter().find(|user| !user.name.is_ascii());
    if let Some(User { id, name }) = known {
        let Some(seen) = session.call(ApiVersion::V3, &get_user(name.as_str())) else {
            return no_response();
        };
        let same = seen.body["user_id"].as_str().and_then(|it| it.parse().ok()) == Some(*id);
        return Settled(match (seen.is_ok(), same) {
            (true, true) => "they are read correctly, as UTF-8".to_owned(),
            (true, false) => "another user is found".to_owned(),
            (false, _) => format!("such a user is not found (status {})", seen.status),
        });
    }
    let plain = format!("zz-probe-{}", random_id());
    let plain = session.call(ApiVersion::V3, &get_user(plain));
    let other = session.call(
        ApiVersion::V3,
        &get_user(format!("zz-pröbe-{}", random_id())),
    );
    match (plain, other) {
        (Some(plain), Some(other)) if plain.status == other.status => Open(format!(
            "they are not refused (status {}, as for any unknown name); whether they are read \
             correctly shows only in a project with such a user",
            other.status
        )),
        (Some(_), Some(other)) => Settled(format!("they are refused (status {})", other.status)),
        _ => no_response(),
    }
}

fn null_fields(session: &mut Session) -> Reading {
    let mut missing = Vec::new();
    if let Some(user) = session.users().first() {
        let details = session.call(session.reads, &get_user(user.id));
        if let Some(seen) = details.filter(Seen::is_ok) {
            let keys = [
                "user_id",
                "username",
                "email_address",
                "date_created",
                "enrolled_auth_methods",
            ];
            missing.extend(keys.into_iter().filter(|key| seen.body.get(key).is_none()));
        }
        let page = PageQuery::new().page_size(10);
        session.call(
            ApiVersion::V3,
            &get_user_auth_history(user.id, page.clone()),
        );
        session.call(ApiVersion::V4, &get_user_auth_history(user.id, page));
    }
    let list = |keys: Vec<&str>| {
        if keys.is_empty() {
            "none".to_owned()
        } else {
            keys.join(", ")
        }
    };
    let nulls = list(session.nulls.iter().map(String::as_str).collect());
    let dates = list(session.dates.iter().copied().collect());
    let reading = format!(
        "null: {nulls}; missing in a user: {}; dates: {dates}",
        list(missing)
    );
    if session.dates.is_empty() {
        Open(format!("{reading}; the project has no users"))
    } else {
        Settled(reading)
    }
}

fn enum_values(session: &mut Session) -> Reading {
    let found: Vec<_> = session
        .unknown
        .iter()
        .map(|(key, values)| {
            let values = values.iter().map(|value| session.shown_word(value));
            let values: Vec<_> = values.collect();
            format!("{key}: {}", values.join(", "))
        })
        .collect();
    if found.is_empty() {
        Open("only known values were seen".to_owned())
    } else {
        Settled(found.join("; "))
    }
}

fn auth_history_id(session: &mut Session) -> Reading {
    if let Some(made) = session.sign_in() {
        let details = made.validated[0].as_ref().map(|seen| {
            let id = &seen.body["validate_auth_response_details"]["auth_history_id"];
            id.as_str().map(str::to_owned)
        });
        if let Some(Some(id)) = details {
            return Settled(if id.parse() == Ok(made.id) {
                "it is the request's id".to_owned()
            } else {
                "it differs from the request's id".to_owned()
            });
        }
    }
    for user in session.users().iter().take(3) {
        let page = PageQuery::new().page_size(1);
        let history = session.call(session.reads, &get_user_auth_history(user.id, page));
        let id = history.and_then(|seen| {
            let id = &seen.body["auth_history_records"][0]["auth_response"]["auth_history_id"];
            id.as_str()?.parse().ok()
        });
        if let Some(id) = id {
            return match session.call(session.reads, &get_auth_info(id)) {
                Some(seen) if seen.is_ok() => {
                    Settled("get_auth_info takes it for the request's id".to_owned())
                }
                Some(seen) => Settled(format!(
                    "get_auth_info does not know it (status {})",
                    seen.status
                )),
                None => no_response(),
            };
        }
    }
    Open("no user on the first page has a sign-in; use --sign-in".to_owned())
}

fn basic_encoding(session: &mut Session) -> Reading {
    if !session.has_special_characters() {
        return Open("id and secret have no special character: both forms are the same".to_owned());
    }
    let secret = session.secret();
    let encoded = session.fetch_token(Form::Basic { encoded: true }, &secret);
    let plain = session.fetch_token(Form::Basic { encoded: false }, &secret);
    match (encoded, plain) {
        (Some(encoded), Some(plain)) => match (encoded.is_ok(), plain.is_ok()) {
            (true, false) => Settled("they must be form-encoded".to_owned()),
            (false, true) => Settled("they must not be form-encoded".to_owned()),
            (true, true) => Settled("both forms are accepted".to_owned()),
            (false, false) => Open(format!(
                "HTTP Basic is refused (statuses {} and {})",
                encoded.status, plain.status
            )),
        },
        _ => no_response(),
    }
}

fn token_error(session: &mut Session) -> Reading {
    let wrong = Secret::from(format!("probe-{}", random_id()));
    let post = session.fetch_token(Form::Post, &wrong);
    let basic = session.fetch_token(Form::Basic { encoded: true }, &wrong);
    let (Some(post), Some(basic)) = (post, basic) else {
        return no_response();
    };
    // The codes of OAuth 2.
    let codes = [
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    ];
    let code = |seen: &Seen| {
        let code = seen.body["error"].as_str();
        let known = codes.into_iter().find(|known| Some(*known) == code);
        known.unwrap_or(if code.is_some() {
            "another error"
        } else {
            "no error"
        })
    };
    Settled(format!(
        "{} and {} for a form, {} and {} for HTTP Basic",
        post.status,
        code(&post),
        basic.status,
        code(&basic)
    ))
}

fn passkey_challenge(_: &mut Session) -> Reading {
    Open("needs a sign-in with a passkey on a website, which this command does not make".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_are_those_of_the_manual() {
        let manual = include_str!("../../../guide/unverified.md");
        let rows: Vec<_> = manual
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split_once(" |"))
            .map(|(question, _)| question.replace('`', ""))
            .skip_while(|question| question == "question" || question == "---")
            .collect();
        let points = POINTS.map(|point| point.question.to_owned());
        assert_eq!(rows, points);
    }
}
