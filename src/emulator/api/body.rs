//! Reads queries, forms and bodies.

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::{
    decisions::{MALFORMED, NOT_JSON, name_is_in_query, same_word},
    refusal::{Leniency, Refusal, Result, escaped},
    schema,
};
use crate::{ApiVersion, Endpoint, emulator::message::Request};

/// The pairs of a form or query string; `None` if it is malformed.
pub(super) fn form(text: &[u8]) -> Option<Vec<(String, String)>> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = form_decode(halves.next().unwrap_or_default())?;
            let value = form_decode(halves.next().unwrap_or_default())?;
            Some((name, value))
        })
        .collect()
}

/// One form-encoded value.
pub(super) fn form_decode(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

const PAGE_PARAMETERS: [&str; 4] = ["page_number", "page_size", "sort_direction", "sort_column"];

/// The parameters of the query.
pub(super) fn query(
    request: &Request,
    version: ApiVersion,
    endpoint: Endpoint,
    leniency: &mut Leniency,
) -> Result<Vec<(String, String)>> {
    let Some(text) = request.query() else {
        return Ok(Vec::new());
    };
    let pairs =
        form(text.as_bytes()).ok_or_else(|| Refusal::bad("the query is not form-encoded"))?;
    let user_keyed = endpoint.route(version).contains("{user_id}");
    let named = name_is_in_query(version) && (user_keyed || endpoint == Endpoint::ListUsers);
    let paged = matches!(
        endpoint,
        Endpoint::ListUsers
            | Endpoint::GetUserAuthHistory
            | Endpoint::ListUserCredentials
            | Endpoint::ListUserAuthenticatorCredentials
            | Endpoint::ListUserWebauthnCredentials
            | Endpoint::ListUserMagiclinkEmailCredentials
    );
    let known = named.then_some("username").into_iter();
    let known: Vec<&str> = known
        .chain(PAGE_PARAMETERS.into_iter().filter(|_| paged))
        .collect();
    let mut parameters: Vec<(String, String)> = Vec::new();
    for (given, value) in pairs {
        let tolerant = leniency.is_tolerant();
        let name = known.iter().find(|name| same_word(name, &given, tolerant));
        if name.is_none_or(|name| **name != given) {
            let message = format!("unknown query parameter: {}", escaped(&given));
            leniency.tolerate(Refusal::bad(message))?;
        }
        let Some(&name) = name else {
            continue;
        };
        if parameters.iter().any(|(other, _)| other == name) {
            return Err(Refusal::bad(format!("{name} is given twice")));
        }
        parameters.push((name.to_owned(), value));
    }
    Ok(parameters)
}

/// The fields of the body.
pub(super) fn body(
    request: &Request,
    version: ApiVersion,
    endpoint: Endpoint,
    leniency: &mut Leniency,
) -> Result<Map<String, Value>> {
    let fields = schema::fields(endpoint, version);
    let wrong_type = || Refusal::new(NOT_JSON, "unsupported content type");
    let missing = |status| Refusal::new(status, "a JSON body is required");
    if request.body.is_empty() {
        // The content type of an empty body may be missing, but not wrong.
        match (fields, content_type(request)) {
            (None, ContentType::Other) => leniency.tolerate(wrong_type())?,
            (_, ContentType::Other) => return Err(wrong_type()),
            (Some(_), ContentType::None) => return Err(missing(NOT_JSON)),
            (Some(_), ContentType::Json) => return Err(missing(MALFORMED)),
            (None, _) => {}
        }
        return Ok(Map::new());
    }
    let no_object = || Refusal::bad("the body is not a JSON object");
    if fields.is_none() && request.body.trim_ascii() == b"[]" && leniency.is_tolerant() {
        leniency.tolerate(no_object())?;
        return Ok(Map::new());
    }
    if content_type(request) != ContentType::Json {
        return Err(wrong_type());
    }
    let Ok(Value::Object(mut body)) = serde_json::from_slice(&request.body) else {
        return Err(no_object());
    };
    schema::check(fields.unwrap_or_default(), &mut body, leniency)?;
    Ok(body)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    None,
    Json,
    Other,
}

/// Whether a request holds JSON: `application/json`, `text/json` or
/// `application/*+json`, in UTF-8.
pub(crate) fn content_type(request: &Request) -> ContentType {
    let mut all = request.all("content-type");
    let Some(value) = all.next() else {
        return ContentType::None;
    };
    if all.next().is_some() {
        return ContentType::Other;
    }
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence == "application/json"
        || essence == "text/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let charset = parts
        .filter_map(|part| part.strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"));
    if json && charset {
        ContentType::Json
    } else {
        ContentType::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let pairs = form(b"a=b+c&d=%C3%A9%2B&e&&f=g=h").unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "b c"), ("d", "é+"), ("e", ""), ("f", "g=h")]);
        assert_eq!(form(b"a=%ff"), None);
    }
}
