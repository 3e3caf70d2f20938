//! Random responses, of roughly the right shape, against the rules.

mod flows;

use autharmor_test_support::Rng;

use super::*;

struct Random(Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0.below(bound)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        self.0.pick(from).clone()
    }

    fn id(&mut self) -> Option<Uuid> {
        self.pick(&[
            None,
            None,
            Some(ADA),
            Some(ADA),
            Some(Uuid::nil()),
            Some(EVE),
        ])
    }

    fn json(&mut self, depth: usize) -> Json {
        match self.below(if depth == 0 { 8 } else { 10 }) {
            0 => json!(null),
            1 => json!(true),
            2 => json!(false),
            3 => json!(self.pick(&[-1, 0, 1, 2, 3, 8, 10, 77])),
            4 => json!(2.0),
            5 => json!(self.pick(&["", "true", "2", "3", "ada", "ADA", "eve", NONCE])),
            6 => json!(self.pick(&[ADA, EVE, REQUEST, OTHER_REQUEST, Uuid::nil()])),
            7 => self.pick(&[json!("ada"), json!(true), json!(2)]),
            8 => json!([self.json(depth - 1)]),
            _ => json!({"user_id": ADA, "authorized": self.json(depth - 1)}),
        }
    }

    fn signed_message(&mut self) -> Json {
        let mut signed = signed_by_phone();
        if self.below(2) == 0 {
            let pointer = self.pick(&[
                "/message_data",
                "/signing_data",
                "/message_data/auth_request_id",
                "/signing_data/nonce",
            ]);
            let value = match self.below(4) {
                0 => None,
                1 => Some(json!(OTHER_REQUEST)),
                _ => Some(self.json(1)),
            };
            put(&mut signed, pointer, value);
        }
        let padded = base64(&signed);
        match self.below(8) {
            0 => json!(padded.trim_end_matches('=')),
            1 => json!(padded[1..]),
            _ => json!(padded),
        }
    }

    /// Ada's response, damaged in up to four places.
    fn response(&mut self) -> Json {
        let mut json = response();
        for _ in 0..self.below(5) {
            let pointer = self.pick(POINTERS);
            let value = match self.below(4) {
                0 => None,
                1 => Some(json!(null)),
                2 => Some(match pointer.rsplit('/').next().unwrap() {
                    "user_id" => json!(self.pick(&[ADA, EVE, Uuid::nil()])),
                    "username" => json!(self.pick(&["ada", "ADA", "eve", ""])),
                    "auth_profile_details" => self.pick(&[
                        json!({"user_id": EVE, "username": "eve"}),
                        json!({"user_id": ADA, "username": "eve"}),
                        json!({"user_id": ADA}),
                    ]),
                    "result_code" => json!(self.pick(&[0, 1, 2, 3, 4, 5, 8, 9, 10, 77, -1])),
                    "auth_request_status_id" => json!(self.pick(&[0, 2, 2, 3, 4, 77])),
                    "signed_data" => self.signed_message(),
                    "authorized" => json!(self.below(2) == 0),
                    _ => self.json(2),
                }),
                _ => Some(self.json(2)),
            };
            put(&mut json, pointer, value);
        }
        if self.below(3) == 0 {
            let signed = self.signed_message();
            put(&mut json, &format!("{MESSAGE}/signed_data"), Some(signed));
        }
        json
    }

    fn expected(&mut self) -> Expected {
        let identity = Identity {
            user: self.pick(&[
                None,
                Some("ada".into()),
                Some("ada".into()),
                Some("ADA".into()),
                Some("eve".into()),
                Some(ADA.into()),
                Some(EVE.into()),
            ]),
            started_for: self.id(),
            finished_by: self.id(),
            ignore_case: self.below(2) == 0,
        };
        Expected {
            identity,
            auth_request_id: self.pick(&[REQUEST, REQUEST, REQUEST, OTHER_REQUEST]),
            nonce: self.pick(&[None, Some(NONCE.into()), Some("another".into())]),
            proof: Requirement::default(),
        }
    }
}

const POINTERS: &[&str] = &[
    "/auth_request_status_id",
    "/validate_auth_response_details",
    AUTHORIZED,
    AUTHORIZED,
    CODE,
    CODE,
    HISTORY_ID,
    "/validate_auth_response_details/auth_details",
    "/validate_auth_response_details/auth_details/request_details",
    "/validate_auth_response_details/auth_details/response_details",
    "/validate_auth_response_details/auth_details/response_details/auth_method",
    ASKED,
    "/validate_auth_response_details/auth_details/request_details/auth_profile_details/user_id",
    "/validate_auth_response_details/auth_details/request_details/auth_profile_details/username",
    WHO,
    "/validate_auth_response_details/auth_details/response_details/auth_profile_details/user_id",
    "/validate_auth_response_details/auth_details/response_details/auth_profile_details/username",
    MESSAGE,
    "/validate_auth_response_details/auth_details/response_details/secure_signed_message/signed_data",
];

/// An independent implementation of the rules, on the JSON text.
fn may_sign_in(response: &Json, expected: &Expected) -> bool {
    let details = &response["validate_auth_response_details"];
    let part = &details["auth_details"]["response_details"];
    let who = &part["auth_profile_details"];
    let asked = &details["auth_details"]["request_details"]["auth_profile_details"];

    let id = |json: &Json| {
        json.as_str()
            .and_then(|text| text.parse::<Uuid>().ok())
            .filter(|id| *id != Uuid::nil())
    };
    let same = |a: &str, b: &str| {
        if expected.identity.ignore_case {
            a.eq_ignore_ascii_case(b)
        } else {
            a == b
        }
    };

    let is_authorized = matches!(details["authorized"], Value::Bool(true));
    let number = |json: &Json| match json {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string().replace(".0", ""),
        _ => String::new(),
    };
    // 2 is "completed" and "success"; the empty text stands for no value.
    let status = number(&response["auth_request_status_id"]);
    let code = number(&details["result_code"]);
    let denies = [status, code]
        .iter()
        .any(|number| !["", "2"].contains(&number.as_str()));
    let Some(who_id) = id(&who["user_id"]) else {
        return false;
    };

    let same_id_asked = id(&asked["user_id"]).is_none_or(|asked| asked == who_id);
    // An empty name is an unknown one.
    let name = |json: &'_ Json| {
        json["username"]
            .as_str()
            .map(str::to_owned)
            .filter(|name| !name.is_empty())
    };
    let same_name_asked = match (name(asked).as_deref(), name(who).as_deref()) {
        (Some(asked), Some(name)) => same(asked, name),
        _ => true,
    };

    let started_for = expected.identity.started_for.filter(|id| !id.is_nil());
    let finished_by = expected.identity.finished_by.filter(|id| !id.is_nil());
    let is_the_one = match &expected.identity.user {
        None => true,
        Some(UserKey::Id(id)) => *id == who_id,
        Some(UserKey::Username(name)) => {
            started_for.is_some() || who["username"].as_str().is_some_and(|who| same(who, name))
        }
    };
    let same_ids = [started_for, finished_by]
        .into_iter()
        .flatten()
        .all(|id| id == who_id);

    let data = part["secure_signed_message"]["signed_data"].as_str();
    let signed: Json = data
        .and_then(|text| {
            BASE64_STANDARD_NO_PAD
                .decode(text.trim_end_matches('='))
                .ok()
        })
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    let is_readable = signed.get("message_data").is_some() || signed.get("signing_data").is_some();
    let about = &signed["message_data"]["auth_request_id"];
    let is_about_ours =
        about.is_null() || about.as_str() == Some(&expected.auth_request_id.to_string());
    let has_our_nonce = match &expected.nonce {
        Some(nonce) => signed["signing_data"]["nonce"] == nonce.expose(),
        None => true,
    };
    let message_fits = !is_readable || is_about_ours && has_our_nonce;

    is_authorized
        && !denies
        && same_id_asked
        && same_name_asked
        && is_the_one
        && same_ids
        && message_fits
}

#[test]
fn no_random_response_signs_in_unless_every_condition_holds() {
    let mut random = Random(Rng::new(0x5eed));
    let (mut signed_in, mut refused, mut mismatches, mut unreadable) = (0, 0, 0, 0);
    for case in 0..20_000 {
        let (response, expected) = (random.response(), random.expected());
        let may = may_sign_in(&response, &expected);
        let Ok(decoded) = serde_json::from_str(&response.to_string()) else {
            unreadable += 1;
            continue;
        };
        let result = judge(decoded, &expected);
        match &result {
            Ok(SignIn::SignedIn(user)) => {
                let id = response.pointer(&format!("{WHO}/user_id")).unwrap();
                assert_eq!(id.as_str(), Some(&*user.user_id().to_string()));
                assert_eq!(user.auth_request_id(), expected.auth_request_id);
                signed_in += 1;
            }
            Ok(_) => refused += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Mismatch);
                mismatches += 1;
            }
        }
        let is_signed_in = matches!(result, Ok(SignIn::SignedIn(_)));
        assert_eq!(is_signed_in, may, "case {case}: {response} {expected:?}");
    }
    // All outcomes occur often.
    let counts = [signed_in, refused, mismatches, unreadable];
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
}
