//! Finds the path of a value in a JSON text, for error messages.

/// An object or array that is open at some point of the text.
enum Open<'a> {
    /// With the name of the present member.
    Object(&'a str),
    /// With the index of the present item.
    Array(usize),
}

/// Returns the text up to a position of `serde_json`'s.
pub(super) fn text_before(json: &str, line: usize, column: usize) -> &str {
    let lines_before = json.split_inclusive('\n').take(line.saturating_sub(1));
    let length = lines_before
        .map(str::len)
        .sum::<usize>()
        .saturating_add(column);
    json.get(..length).unwrap_or(json)
}

/// Returns the path of the value at the end of a text, which is the beginning of a
/// JSON text, such as `records[1].id`. It is empty for the whole text.
pub(super) fn path_at_end(json: &str) -> String {
    let mut bytes = json.bytes().enumerate();
    let mut open = Vec::new();
    let mut text = "";
    while let Some((at, byte)) = bytes.next() {
        match (byte, open.last_mut()) {
            (b'"', _) => {
                let start = at + 1;
                while let Some((at, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => {
                            text = json.get(start..at).unwrap_or_default();
                            break;
                        }
                        _ => {}
                    }
                }
            }
            (b':', Some(Open::Object(name))) => *name = text,
            (b',', Some(Open::Object(name))) => *name = "",
            (b',', Some(Open::Array(index))) => *index += 1,
            (b'{', _) => open.push(Open::Object("")),
            (b'[', _) => open.push(Open::Array(0)),
            (b'}' | b']', _) => drop(open.pop()),
            _ => {}
        }
    }
    let parts = open.into_iter().map(|container| match container {
        Open::Object("") => String::new(),
        Open::Object(name) => format!(".{name}"),
        Open::Array(index) => format!("[{index}]"),
    });
    let path: String = parts.collect();
    path.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_is_found() {
        for (json, path) in [
            ("", ""),
            ("{", ""),
            (r#"{"id""#, ""),
            (r#"{"id":"#, "id"),
            (r#"{"id":"x""#, "id"),
            (r#"{"id":"x"}"#, ""),
            (r#"{"id":1,"#, ""),
            (r#"{"id":1,"records":"#, "records"),
            (r#"{"records":[{"id":1},7"#, "records[1]"),
            (r#"{"records":[{"id":1},{"id":2}"#, "records[1]"),
            (r#"{"records":[{"id":1},{"id": 1.5"#, "records[1].id"),
            (r#"{"records":[[],[1,[2,{"a":[3"#, "records[1][1][1].a[0]"),
            (r#"{"last":{"id":1,"number":"x""#, "last.number"),
            (r#"{"last":{"id":1},"id":"#, "id"),
            // What is passed over.
            (
                r#"{"a":[{"b":"}]\\\",{"},[[],{}]],"records":[{"c":",[","id":-1"#,
                "records[0].id",
            ),
            (
                "{\"a\":\"\u{fc}\u{1f600}\\u00fc\",\"b\":{\"id\":\"\u{fc}\"",
                "b.id",
            ),
            // No JSON.
            ("]}{\"\\\"a\":[1,\n\"\u{fc}", "\\\"a[1]"),
        ] {
            assert_eq!(path_at_end(json), path, "{json}");
        }
    }

    #[test]
    fn a_position_is_a_line_and_a_number_of_bytes() {
        let json = "{\r\n\"\u{fc}\":\n1}";
        for (line, column, before) in [
            (1, 0, ""),
            (1, 1, "{"),
            (2, 4, "{\r\n\"\u{fc}\""),
            (3, 1, "{\r\n\"\u{fc}\":\n1"),
            // Within a character, or in another text.
            (2, 2, json),
            (3, 9, json),
            (usize::MAX, usize::MAX, json),
        ] {
            assert_eq!(text_before(json, line, column), before, "{line} {column}");
        }
    }
}
