use super::*;

#[test]
fn sign_in_checks_the_client_data() {
    let forger = Forger::new();
    let stored = forger.stored(0);
    let verify = |data: &[u8]| sign_in(&stored, &forger.assertion(&present(1), data));
    assert_eq!(verify(&client(|_| {})), Ok(1));
    assert_eq!(verify(&client(|c| c["crossOrigin"] = false.into())), Ok(1));
    for (data, expected) in [
        (
            client(|c| c["type"] = CREATE.into()),
            PasskeyError::Ceremony,
        ),
        (
            client(|c| c["challenge"] = encode(b"x").into()),
            PasskeyError::Challenge,
        ),
        (
            client(|c| c["challenge"] = "%".into()),
            PasskeyError::Challenge,
        ),
        (
            client(|c| c["origin"] = "https://example.com".into()),
            PasskeyError::Origin,
        ),
        (
            client(|c| c["crossOrigin"] = true.into()),
            PasskeyError::Origin,
        ),
        (
            client(|c| c["origin"] = Value::Null),
            PasskeyError::ClientData,
        ),
        (b"{}".to_vec(), PasskeyError::ClientData),
    ] {
        assert_eq!(verify(&data), Err(expected));
    }
}

#[test]
fn sign_in_checks_the_authenticator_data() {
    let forger = Forger::new();
    let verify = |before, data: &[u8]| {
        sign_in(
            &forger.stored(before),
            &forger.assertion(data, &client(|_| {})),
        )
    };
    assert_eq!(verify(0, &present(0)), Ok(0));
    assert_eq!(verify(5, &present(6)), Ok(6));
    let absent = authenticator_data(RP, USER_VERIFIED, 6, &[]);
    let elsewhere = authenticator_data("evil.example", USER_PRESENT, 6, &[]);
    for (before, data, expected) in [
        (5, present(5), PasskeyError::Counter),
        (5, present(4), PasskeyError::Counter),
        (5, present(0), PasskeyError::Counter),
        (5, absent, PasskeyError::UserPresence),
        (5, elsewhere, PasskeyError::RelyingParty),
        (
            5,
            present(6)[..36].to_vec(),
            PasskeyError::AuthenticatorData,
        ),
        (
            5,
            [present(6), vec![0]].concat(),
            PasskeyError::AuthenticatorData,
        ),
    ] {
        assert_eq!(verify(before, &data), Err(expected));
    }
}

#[test]
fn sign_in_checks_id_key_and_signature() {
    let forger = Forger::new();
    let stored = forger.stored(0);
    let good = forger.assertion(&present(1), &client(|_| {}));
    assert_eq!(sign_in(&stored, &good), Ok(1));

    let changed = |name: &str, value: String| {
        let mut response = good.clone();
        response[name] = value.into();
        sign_in(&stored, &response)
    };
    assert_eq!(
        changed("id", encode(b"di")),
        Err(PasskeyError::CredentialId)
    );
    assert_eq!(
        changed("id", String::new()),
        Err(PasskeyError::CredentialId)
    );
    assert_eq!(
        changed("signature", "*".into()),
        Err(PasskeyError::Encoding)
    );
    assert_eq!(
        changed("signature", String::new()),
        Err(PasskeyError::Signature)
    );
    // Everything is right but for what was signed.
    assert_eq!(
        changed("authenticator_data", encode(&present(2))),
        Err(PasskeyError::Signature)
    );
    assert_eq!(
        changed("client_data", encode(&client(|c| c["extra"] = 1.into()))),
        Err(PasskeyError::Signature)
    );
    assert_eq!(
        sign_in(&Forger::new().stored(0), &good),
        Err(PasskeyError::Signature)
    );
    let mut broken = stored.clone();
    broken.public_key.clear();
    assert_eq!(sign_in(&broken, &good), Err(PasskeyError::Signature));
}
