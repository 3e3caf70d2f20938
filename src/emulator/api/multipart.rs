//! Reads `multipart/form-data`, as far as texts without files need it.

/// The names and values of a multipart body; `None` if it is malformed.
pub(super) fn form(content_type: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let boundary = parameter(content_type, "boundary")?;
    let delimiter = format!("--{boundary}");
    let body = std::str::from_utf8(body).ok()?;
    let mut parts = body.split(delimiter.as_str());
    // What precedes the first delimiter has no meaning.
    parts.next()?;
    let mut pairs = Vec::new();
    for part in parts {
        if part.starts_with("--") {
            return Some(pairs);
        }
        let part = part.strip_prefix("\r\n")?.strip_suffix("\r\n")?;
        let (head, value) = part.split_once("\r\n\r\n")?;
        let disposition = head.split("\r\n").find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-disposition")
                .then_some(value)
        })?;
        pairs.push((parameter(disposition, "name")?.to_owned(), value.to_owned()));
    }
    // The last delimiter is missing.
    None
}

/// A parameter of a header, such as `boundary`, without its quotes.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header
        .split(';')
        .skip(1)
        .filter_map(|part| part.trim().split_once('='))
        .find(|(have, _)| have.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim_matches('"'))
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";

    #[test]
    fn texts_are_read() {
        let body = "--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\
             Content-Length: 3\r\n\r\nb c\r\n--x-y\r\n\
             content-disposition: form-data; name=d\r\n\r\n\r\n--x-y--\r\n";
        let pairs = form(TYPE, body.as_bytes()).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs, [pair("a", "b c"), pair("d", "")]);
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let part = "--x-y\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n";
        for (content_type, body) in [
            ("multipart/form-data", format!("{part}--x-y--")),
            (TYPE, part.to_owned()),
            (TYPE, String::new()),
            (TYPE, part.replace("name=a", "x=a") + "--x-y--"),
            (TYPE, part.replace("\r\n\r\n", "") + "--x-y--"),
            (TYPE, part.replace("\r\n", "\n") + "--x-y--"),
        ] {
            assert_eq!(form(content_type, body.as_bytes()), None, "{body:?}");
        }
    }
}
