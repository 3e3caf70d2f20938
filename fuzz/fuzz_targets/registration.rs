//! Responses that complete a registration: only the expected user is registered,
//! with the expected address and purpose.
#![no_main]

use std::sync::LazyLock;

use autharmor::Client;
use autharmor::flow::{
    PendingMagiclinkRegistration, PendingWebauthnRegistration, RegisteredUser, Registration,
};
use autharmor_fuzz::{
    REQUEST, Response, SIGNATURE, Service, USER, USERNAME, VALIDATION_TOKEN, alloc, assert_absent,
    assert_no_secrets, debug, json, split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use uuid::Uuid;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

const PURPOSES: [&str; 4] = ["new_user", "new_enrollment", "change_email", "other"];

fuzz_target!(|data: &[u8]| {
    let Some((bits, body)) = split_selector(data) else {
        return;
    };
    let bit = |number: usize| bits >> number & 1 == 1;
    let (by_link, v4, by_id, by_name, started_for) = (bit(0), bit(1), bit(2), bit(3), bit(4));
    let purpose = PURPOSES[bits >> 5 & 3];
    // Only the state of a magic link may lack the user.
    let by_name = by_name || !by_link && !by_id;
    let user = match (by_id, by_name) {
        (true, _) => json!({"user_id": USER}),
        (_, true) => json!({"username": USERNAME}),
        _ => Value::Null,
    };
    let state = json!({
        "v": 1,
        "api": if v4 { "v4" } else { "v3" },
        "flow": if by_link { "magiclink_registration" } else { "webauthn_registration" },
        "id": REQUEST,
        "user": user,
        "user_id": started_for.then_some(USER),
        "aa_sig": SIGNATURE,
        "for_user": by_id,
        "purpose": purpose,
        "address": USERNAME,
    })
    .to_string();
    let client = &CLIENTS[usize::from(v4)];
    SERVICE.respond_with([Response::ok(body)]);
    alloc::bounded(|| {
        let mut last = body;
        let end = if by_link {
            let pending: PendingMagiclinkRegistration = serde_json::from_str(&state).unwrap();
            let link = format!(
                "?registration_id={REQUEST}&registration_validation_token={VALIDATION_TOKEN}"
            );
            pending.complete(client, &link)
        } else {
            let pending: PendingWebauthnRegistration = serde_json::from_str(&state).unwrap();
            if v4 {
                let mut parts = body.splitn(2, |byte| *byte == 0);
                let finish = parts.next().unwrap_or_default();
                last = parts.next().unwrap_or_default();
                SERVICE.respond_with([Response::ok(finish), Response::ok(last)]);
            }
            // The client data is `{"type":"webauthn.create"}`.
            let page = r#"{"id":"AQID","attestation_object":"BAUG","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0"}"#;
            pending.complete(client, page)
        };
        match end {
            Ok(Registration::Registered(found)) => {
                let known_id = by_id || started_for && !by_link;
                assert_expected(&found, last, known_id, by_name && !by_id);
                assert_eq!(found.is_validated(), v4 || by_link);
                if by_link {
                    assert_by_link(&found, last, purpose);
                }
                // `Debug` shows context data.
                if found.context_data().is_empty() {
                    assert_absent(&debug(&found), &[VALIDATION_TOKEN, SIGNATURE, USERNAME]);
                }
            }
            Ok(other) => panic!("{other:?} without waiting"),
            Err(error) => assert_no_secrets(&error, &[]),
        }
    });
});

fn text(body: &[u8], field: &str) -> Option<String> {
    let text = json::at(body, &[field]).as_str().map(str::to_owned);
    // An empty text is unknown.
    text.filter(|text| !text.is_empty())
}

fn assert_expected(found: &RegisteredUser, body: &[u8], known_id: bool, known_name: bool) {
    let id: Uuid = text(body, "user_id").unwrap().parse().unwrap();
    assert!(!id.is_nil());
    assert_eq!(found.user_id(), id);
    let name = text(body, "username");
    assert_eq!(found.username(), name.as_deref());
    if known_id {
        assert_eq!(id, USER);
    } else if known_name {
        assert_eq!(name.unwrap().to_ascii_lowercase(), USERNAME);
    }
}

fn assert_by_link(found: &RegisteredUser, body: &[u8], purpose: &str) {
    let said = text(body, "magiclink_email_registration_type");
    assert!(said.is_none_or(|said| said == purpose));
    let address = text(body, "email_address");
    assert_eq!(found.email_address(), address.as_deref());
    let known_by = match purpose {
        "new_user" => Some(address.or_else(|| text(body, "username")).unwrap()),
        _ => address,
    };
    assert!(known_by.is_none_or(|known_by| known_by.to_ascii_lowercase() == USERNAME));
}
