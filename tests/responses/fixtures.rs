//! The three fixtures of a response type, and a client that receives them.

use std::fmt::Debug;

use autharmor::{
    Client, ErrorKind, HttpRequest, HttpResponse, Limits, Request, Transport, TransportError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::decode;

/// Decodes a response from its three fixtures, which are made from the one that
/// has every field.
///
/// * `required` fields are the ones without which a response is useless.
/// * `secrets` are left out when the response is serialised.
/// * `enums` are pointers to values that may be unknown to this crate.
///
/// Texts with `h1dden` in them must not show in `Debug`.
pub(crate) fn assert_three_fixtures<T>(
    request: &Request<T>,
    all: &Value,
    required: &[&str],
    secrets: &[&str],
    enums: &[&str],
) -> T
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let mut shown = all.clone();
    let fields = shown.as_object_mut().unwrap();
    fields.retain(|field, _| !secrets.contains(&field.as_str()));

    // All fields: what is not secret comes back, under the same names.
    let response: T = decode(all.clone());
    assert_eq!(serde_json::to_value(&response).unwrap(), shown);
    for text in [format!("{response:?}"), format!("{response:#?}")] {
        assert!(!text.contains("h1dden"), "{text}");
    }

    // Null or missing, one by one and all together.
    for pointer in pointers(all) {
        let is_required = required.contains(&&pointer[1..]);
        let null = with(all, &pointer, Some(Value::Null));
        let missing = with(all, &pointer, None);
        if is_required {
            assert!(serde_json::from_value::<T>(null).is_err(), "{pointer}");
            assert!(serde_json::from_value::<T>(missing).is_err(), "{pointer}");
        } else {
            assert_eq!(decode::<T>(null), decode::<T>(missing), "{pointer}");
        }
    }
    let mut null = all.clone();
    let mut missing = Map::new();
    for (field, value) in null.as_object_mut().unwrap() {
        if required.contains(&field.as_str()) {
            missing.insert(field.clone(), value.clone());
        } else {
            *value = Value::Null;
        }
    }
    assert_eq!(decode::<T>(null), decode::<T>(missing.into()));

    // Unknown fields are ignored, unknown values survive.
    let mut strange = shown.clone();
    for pointer in enums {
        let value = strange.pointer_mut(pointer).expect(pointer);
        *value = match value {
            Value::Number(_) => json!(77),
            _ => json!("brand_new"),
        };
    }
    let mut full = all.clone();
    for pointer in enums {
        *full.pointer_mut(pointer).unwrap() = strange.pointer(pointer).unwrap().clone();
    }
    add_unknown_fields(&mut full);
    let odd: T = decode(full);
    assert_eq!(serde_json::to_value(&odd).unwrap(), strange);

    assert_objects_only(request, all);
    response
}

/// Pointers to every field of every object, except within the caller's own data.
fn pointers(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (field, value) in json.as_object().into_iter().flatten() {
        found.push(format!("/{field}"));
        if field != "context_data" {
            found.extend(
                pointers(value)
                    .iter()
                    .map(|below| format!("/{field}{below}")),
            );
        }
    }
    found
}

/// The JSON with another value at this pointer, or with none.
pub(crate) fn with(json: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut json = json.clone();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = json.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(field.to_owned(), value),
        None => parent.remove(field),
    };
    json
}

/// Adds a field that this crate does not know to every object.
fn add_unknown_fields(json: &mut Value) {
    if let Value::Object(fields) = json {
        for (field, value) in fields.iter_mut() {
            if field != "context_data" {
                add_unknown_fields(value);
            }
        }
        fields.insert("brand_new".to_owned(), json!({"a": [1, null]}));
    }
}

/// Asserts that the client refuses the response if one of its objects, at any
/// depth, is an array. serde by itself would read some of these arrays.
pub(crate) fn assert_objects_only<T: DeserializeOwned>(request: &Request<T>, all: &Value) {
    assert!(receive(request, all).is_ok(), "{all}");
    for pointer in objects(all) {
        let fields = all.pointer(&pointer).unwrap().as_object().unwrap();
        let mut arrays = vec![
            json!([]),
            json!([fields]),
            fields.values().cloned().collect(),
        ];
        // One value first, which may be the required one, and then nulls.
        arrays.extend(fields.values().map(|value| {
            let mut array = vec![Value::Null; fields.len()];
            array[0] = value.clone();
            Value::Array(array)
        }));
        for array in arrays {
            let mut odd = all.clone();
            *odd.pointer_mut(&pointer).unwrap() = array;
            let error = receive(request, &odd).err();
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(ErrorKind::Decode), "{pointer}: {odd}");
        }
    }
}

/// Pointers to every object, the whole included.
fn objects(json: &Value) -> Vec<String> {
    let (mut found, below): (_, Vec<(String, &Value)>) = match json {
        Value::Object(fields) => (
            vec![String::new()],
            fields
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
        ),
        Value::Array(values) => (
            Vec::new(),
            values
                .iter()
                .enumerate()
                .map(|(n, value)| (n.to_string(), value))
                .collect(),
        ),
        _ => return Vec::new(),
    };
    for (name, value) in below {
        found.extend(
            objects(value)
                .iter()
                .map(|pointer| format!("/{name}{pointer}")),
        );
    }
    found
}

/// Sends the request to a service that responds with this body.
pub(crate) fn receive<T: DeserializeOwned>(
    request: &Request<T>,
    body: &Value,
) -> Result<T, autharmor::Error> {
    let service = Service(body.to_string());
    let client = Client::builder("id", "secret").transport(service).build();
    client.unwrap().send(request)
}

/// Responds with a token to a token request, and else with this body.
struct Service(String);

impl Transport for Service {
    fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let body = if request.uri().path().ends_with("/token") {
            r#"{"access_token":"t0ken","token_type":"Bearer","expires_in":600}"#
        } else {
            &self.0
        };
        Ok(http::Response::new(body.as_bytes().to_vec()).into())
    }
}
