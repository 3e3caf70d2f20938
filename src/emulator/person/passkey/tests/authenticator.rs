use super::*;

#[test]
fn a_person_registers_and_signs_in_repeatedly() {
    let mut person = SoftwareAuthenticator::new(1);
    let response = create(&mut person);
    assert_eq!(response["id"], response["rawId"]);
    assert_eq!(response["extensions"], json!({}));
    let mut stored = register(&response).unwrap();
    assert_eq!(stored.credential_id, field(&response, "id"));
    assert_eq!(stored.public_key.len(), 65);

    for expected in 1..=3 {
        let response = person.get(&get_options().to_string(), ORIGIN).unwrap();
        assert_eq!(
            response["attestation_object"],
            response["authenticator_data"]
        );
        assert_eq!(field(&response, "user_handle"), encode(b"user 1"));
        stored.counter = sign_in(&stored, &response).unwrap();
        assert_eq!(stored.counter, expected);
        assert_eq!(sign_in(&stored, &response), Err(PasskeyError::Counter));
    }
}

#[test]
fn padding_is_optional() {
    let mut response = create(&mut SoftwareAuthenticator::new(1));
    for name in ["id", "attestation_object", "client_data"] {
        let mut text = field(&response, name).to_owned();
        text.push_str(["", "", "==", "="][text.len() % 4]);
        response[name] = text.into();
    }
    let stored = register(&response).unwrap();
    assert!(!stored.credential_id.ends_with('='));
}

#[test]
fn ids_follow_from_the_seed() {
    let ids = |seed| {
        let mut person = SoftwareAuthenticator::new(seed);
        [
            create(&mut person)["id"].take(),
            create(&mut person)["id"].take(),
        ]
    };
    assert_eq!(ids(7), ids(7));
    assert_ne!(ids(7), ids(8));
    assert_ne!(ids(7)[0], ids(7)[1]);
}

#[test]
fn the_authenticator_obeys_the_options() {
    let mut person = SoftwareAuthenticator::new(1);
    let mut try_create = |origin: &str, change: &dyn Fn(&mut Value)| {
        let mut options = create_options();
        change(&mut options);
        person.create(&options.to_string(), origin).map(|_| ())
    };
    let same = |_: &mut Value| {};
    assert_eq!(try_create(ORIGIN, &same), Ok(()));
    assert_eq!(try_create("https://example.com:8443", &same), Ok(()));
    assert_eq!(try_create("android:apk-key-hash:abc", &same), Ok(()));
    assert_eq!(
        try_create(ORIGIN, &|o| o["rp"] = json!({"name": "x"})),
        Ok(())
    );
    assert_eq!(
        try_create(ORIGIN, &|o| o["challenge"] = "+/+/".into()),
        Ok(())
    );
    assert_eq!(
        try_create(ORIGIN, &|o| o["challenge"] = "-_-_".into()),
        Ok(())
    );
    assert_eq!(
        try_create(ORIGIN, &|o| o["pubKeyCredParams"] = json!([])),
        Ok(())
    );
    for (origin, change, expected) in [
        (
            "https://badexample.com",
            &same as &dyn Fn(&mut Value),
            PasskeyError::RelyingParty,
        ),
        (
            ORIGIN,
            &|o| o["rp"]["id"] = "".into(),
            PasskeyError::RelyingParty,
        ),
        (
            ORIGIN,
            &|o| o["pubKeyCredParams"] = json!([{"type": "public-key", "alg": -257}]),
            PasskeyError::Algorithm,
        ),
        (
            ORIGIN,
            &|o| o["challenge"] = "?".into(),
            PasskeyError::Options,
        ),
        (
            ORIGIN,
            &|o| o["challenge"] = Value::Null,
            PasskeyError::Options,
        ),
        (ORIGIN, &|o| o["user"] = Value::Null, PasskeyError::Options),
    ] {
        assert_eq!(try_create(origin, change), Err(expected));
    }
    assert_eq!(
        person.create("not json", ORIGIN),
        Err(PasskeyError::Options)
    );
}

#[test]
fn the_authenticator_chooses_among_its_credentials() {
    let mut person = SoftwareAuthenticator::new(1);
    assert_eq!(
        person.get(&get_options().to_string(), ORIGIN),
        Err(PasskeyError::NoCredential)
    );
    let (first, second) = (create(&mut person), create(&mut person));
    let mut get = |change: &dyn Fn(&mut Value)| {
        let mut options = get_options();
        change(&mut options);
        let origin = "https://example.com";
        let response = person.get(&options.to_string(), origin);
        response.map(|mut response| response["id"].take())
    };
    assert_eq!(get(&|_| {}), Ok(second["id"].clone()));
    let listed = |id: &Value| json!([{"type": "public-key", "id": id}]);
    assert_eq!(
        get(&|o| o["allowCredentials"] = listed(&first["id"])),
        Ok(first["id"].clone())
    );
    assert_eq!(
        get(&|o| o["allowCredentials"] = listed(&"AAAA".into())),
        Err(PasskeyError::NoCredential)
    );
    assert_eq!(
        get(&|o| o["rpId"] = "com".into()),
        Err(PasskeyError::NoCredential)
    );
    assert_eq!(
        get(&|o| o["rpId"] = "example.org".into()),
        Err(PasskeyError::RelyingParty)
    );
    assert_eq!(get(&|o| o["rpId"] = Value::Null), Ok(second["id"].clone()));

    let mut options = create_options();
    options["excludeCredentials"] = listed(&first["id"]);
    assert_eq!(
        person.create(&options.to_string(), ORIGIN),
        Err(PasskeyError::Excluded)
    );
}

#[test]
fn debug_and_display_keep_ids_and_keys() {
    let mut person = SoftwareAuthenticator::new(1);
    let stored = register(&create(&mut person)).unwrap();
    let lent = StoredCredential {
        credential_id: &stored.credential_id,
        public_key: &stored.public_key,
        counter: 3,
        verify_user: false,
    };
    assert_eq!(
        format!("{person:?} {stored:?} {lent:?}"),
        "SoftwareAuthenticator { credentials: 1, .. } \
         VerifiedRegistration { counter: 0, .. } StoredCredential { counter: 3, .. }"
    );
    assert_eq!(
        PasskeyError::Counter.to_string(),
        "passkey: the signature counter did not grow"
    );
}
