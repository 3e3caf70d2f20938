//! The schemas of v4, as its OpenAPI description declares them, and a check of
//! values against them. `?` marks what may be null, brackets an array, braces the
//! length of a text. The description requires no field of a response; here every
//! declared field is required and no other is allowed.

use serde_json::Value;

const SHAPES: &str = include_str!("shapes.txt");
const ROUTES: &str = include_str!("routes.txt");

/// One row of the endpoint table in `routes.txt`, which is independent of the
/// table of the crate.
pub(crate) struct Endpoint {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) v3: Option<&'static str>,
    pub(crate) v4: &'static str,
    pub(crate) body: Option<&'static str>,
    pub(crate) response: &'static str,
}

pub(crate) fn endpoints() -> impl Iterator<Item = Endpoint> {
    ROUTES.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let some = |at: usize| Some(words[at]).filter(|word| *word != "-");
        Endpoint {
            name: words[0],
            method: words[1],
            v3: some(2),
            v4: words[3],
            body: some(4),
            response: words[5],
        }
    })
}

fn fits(route: &str, path: &str) -> bool {
    route.split('/').count() == path.split('/').count()
        && route
            .split('/')
            .zip(path.split('/'))
            .all(|(word, part)| word.starts_with('{') || word == part)
}

/// The endpoint of a v4 request.
pub(crate) fn endpoint_of(method: &str, target: &str) -> Endpoint {
    let path = target.split('?').next().unwrap();
    endpoints()
        .filter(|endpoint| endpoint.method == method && fits(endpoint.v4, path))
        // The one with the fewest placeholders.
        .min_by_key(|endpoint| endpoint.v4.matches('{').count())
        .unwrap_or_else(|| panic!("no route for {method} {path}"))
}

/// The least and the most characters of a text.
pub(crate) fn lengths(kind: &str) -> Option<(usize, usize)> {
    let (_, bounds) = kind.strip_prefix("text")?.split_once('{')?;
    let (least, most) = bounds.split_once('}')?.0.split_once(',')?;
    Some((least.parse().unwrap(), most.parse().unwrap_or(usize::MAX)))
}

/// The fields of an object schema.
pub(crate) fn fields(schema: &str) -> Vec<(&'static str, &'static str)> {
    let line = SHAPES
        .lines()
        .find_map(|line| line.strip_prefix(schema)?.strip_prefix(" : "))
        .unwrap_or_else(|| panic!("no schema {schema}"));
    line.split(' ')
        .map(|field| field.split_once(':').unwrap())
        .collect()
}

/// Panics unless the value has every declared field with its type, and no
/// other.
pub(crate) fn check(schema: &str, value: &Value) {
    if let Err(reason) = try_check(schema, value) {
        panic!("{schema}: {reason}\n{value:#}");
    }
}

pub(crate) fn try_check(kind: &str, value: &Value) -> Result<(), String> {
    let kind = match kind.strip_suffix('?') {
        Some(_) if value.is_null() => return Ok(()),
        Some(kind) => kind,
        None => kind,
    };
    let wrong = || Err(format!("not {kind}: {value}"));
    match kind {
        "any" => Ok(()),
        "text" if value.is_string() => Ok(()),
        "bool" if value.is_boolean() => Ok(()),
        "int" if value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        "long" if value.is_i64() => Ok(()),
        "uuid" => match value.as_str().map(uuid::Uuid::parse_str) {
            Some(Ok(_)) => Ok(()),
            _ => wrong(),
        },
        "date" if value.as_str().is_some_and(is_date) => Ok(()),
        "map" => match value.as_object() {
            Some(map) if map.values().all(|v| v.is_string() || v.is_null()) => Ok(()),
            _ => wrong(),
        },
        "text" | "bool" | "int" | "long" | "date" => wrong(),
        _ => complex(kind, value),
    }
}

fn complex(kind: &str, value: &Value) -> Result<(), String> {
    if let Some(item) = kind.strip_prefix('[') {
        let item = item.trim_end_matches(']');
        let items = value.as_array().ok_or("not an array")?;
        return items.iter().try_for_each(|value| try_check(item, value));
    }
    if let Some(words) = SHAPES
        .lines()
        .find_map(|line| line.strip_prefix(kind)?.strip_prefix(" = "))
    {
        let text = value.as_str().ok_or("not a text")?;
        return if words.split('|').any(|word| word == text) {
            Ok(())
        } else {
            Err(format!("{text} is not of {kind}"))
        };
    }
    let object = value.as_object().ok_or(format!("not {kind}"))?;
    let fields = fields(kind);
    for (name, kind) in &fields {
        let value = object.get(*name).ok_or(format!("{name} is missing"))?;
        try_check(kind, value).map_err(|reason| format!("{name}: {reason}"))?;
    }
    match object
        .keys()
        .find(|key| fields.iter().all(|(name, _)| name != key))
    {
        Some(key) => Err(format!("{key} is not declared")),
        None => Ok(()),
    }
}

/// RFC 3339 in UTC.
fn is_date(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let (whole, rest) = shape.split_at(shape.len().min(19));
    whole == "0000-00-00T00:00:00"
        && rest
            .strip_suffix('Z')
            .is_some_and(|rest| rest.is_empty() || rest.trim_end_matches('0') == ".")
}
