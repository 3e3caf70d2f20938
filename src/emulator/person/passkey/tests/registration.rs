use super::*;

#[test]
fn registration_checks_the_client_data() {
    let response = create(&mut SoftwareAuthenticator::new(1));
    let (id, object) = (
        field(&response, "id"),
        field(&response, "attestation_object"),
    );
    let verify = |challenge: &[u8], origin, rp, client_data: &[u8]| {
        verify_registration(
            challenge,
            origin,
            rp,
            id,
            object,
            &encode(client_data),
            false,
        )
    };
    let good = client_data(CREATE, CHALLENGE, ORIGIN);
    assert!(verify(CHALLENGE, ORIGIN, RP, &good).is_ok());
    let wrong_type = client_data(GET, CHALLENGE, ORIGIN);
    for (result, expected) in [
        (
            verify(b"another", ORIGIN, RP, &good),
            PasskeyError::Challenge,
        ),
        (verify(b"", ORIGIN, RP, &good), PasskeyError::Challenge),
        (
            verify(CHALLENGE, "https://evil.example", RP, &good),
            PasskeyError::Origin,
        ),
        (
            verify(CHALLENGE, ORIGIN, "evil.example", &good),
            PasskeyError::RelyingParty,
        ),
        (
            verify(CHALLENGE, ORIGIN, RP, &wrong_type),
            PasskeyError::Ceremony,
        ),
        (
            verify(CHALLENGE, ORIGIN, RP, b"[]"),
            PasskeyError::ClientData,
        ),
        (
            verify(CHALLENGE, ORIGIN, RP, b"\xff"),
            PasskeyError::ClientData,
        ),
    ] {
        assert_eq!(result, Err(expected));
    }
}

#[test]
fn registration_checks_the_credential_id() {
    let mut person = SoftwareAuthenticator::new(1);
    let other = create(&mut person);
    let mut response = create(&mut person);
    response["id"] = other["id"].clone();
    assert_eq!(register(&response), Err(PasskeyError::CredentialId));
    response["id"] = "".into();
    assert_eq!(register(&response), Err(PasskeyError::CredentialId));
    response["id"] = "not base64!".into();
    assert_eq!(register(&response), Err(PasskeyError::Encoding));
}

#[test]
fn registration_checks_the_authenticator_data() {
    let forger = Forger::new();
    let attested = attested_credential(b"id", &forger.cose());
    let verify = |data: &[u8]| register(&registration(&unattested(data)));
    let data = |flags, rest: &[u8]| authenticator_data(RP, flags, 0, rest);

    assert!(verify(&forger.auth_data()).is_ok());
    let mut extended = attested.clone();
    extended.extend(cbor(|e| e.map(1)?.str("x")?.bool(true)?.ok()));
    assert!(verify(&data(USER_PRESENT | ATTESTED | EXTENSIONS, &extended)).is_ok());

    for (bytes, expected) in [
        (data(ATTESTED, &attested), PasskeyError::UserPresence),
        (data(USER_PRESENT, &[]), PasskeyError::NoAttestedCredential),
        (
            data(USER_PRESENT, &attested),
            PasskeyError::AuthenticatorData,
        ),
        (
            data(USER_PRESENT | ATTESTED, &extended),
            PasskeyError::AuthenticatorData,
        ),
        (
            data(USER_PRESENT | ATTESTED, &attested[..40]),
            PasskeyError::AuthenticatorData,
        ),
        (
            data(USER_PRESENT | ATTESTED | EXTENSIONS, &attested),
            PasskeyError::AuthenticatorData,
        ),
        (Vec::new(), PasskeyError::AuthenticatorData),
    ] {
        assert_eq!(verify(&bytes), Err(expected));
    }
}

#[test]
fn registration_takes_only_es256_keys() {
    let forger = Forger::new();
    let point = forger.key.public_key().as_ref();
    let (x, y) = point[1..].split_at(32);
    let cose = |kind: i64, alg: i64, curve: i64, x: &[u8], y: &[u8]| {
        cbor(|e| {
            e.map(5)?.i64(1)?.i64(kind)?.i64(3)?.i64(alg)?;
            e.i64(-1)?
                .i64(curve)?
                .i64(-2)?
                .bytes(x)?
                .i64(-3)?
                .bytes(y)?
                .ok()
        })
    };
    let verify = |cose: &[u8]| register(&registration(&unattested(&auth_data_with(cose))));
    assert_eq!(verify(&cose(2, -7, 1, x, y)).unwrap().public_key, point);
    for cose in [
        cose(3, -7, 1, x, y),
        cose(2, -257, 1, x, y),
        cose(2, -7, 2, x, y),
        cose(2, -7, 1, &x[1..], y),
        cose(2, -7, 1, x, &[0; 33]),
        cbor(|e| e.map(0)?.ok()),
        cbor(|e| e.bytes(point)?.ok()),
        cbor(|e| e.map(2)?.i64(1)?.i64(2)?.i64(1)?.i64(2)?.ok()),
    ] {
        assert_eq!(verify(&cose), Err(PasskeyError::PublicKey));
    }
}

#[test]
fn registration_checks_the_attestation() {
    let forger = Forger::new();
    let data = forger.auth_data();
    let client_data = client_data(CREATE, CHALLENGE, ORIGIN);
    let signature = sign(&forger.key, &signed_bytes(&data, &client_data)).unwrap();
    let foreign = sign(&new_key().unwrap(), &signed_bytes(&data, &client_data)).unwrap();
    let verify = |object: &[u8]| register(&registration(object));

    assert!(verify(&forger.packed(ES256, &signature, false)).is_ok());
    let named = |format: &str| {
        cbor(|e| {
            e.map(3)?.str("fmt")?.str(format)?.str("attStmt")?.map(0)?;
            e.str("authData")?.bytes(&data)?.ok()
        })
    };
    assert!(verify(&named("none")).is_ok());
    let none_with_statement = cbor(|e| {
        e.map(3)?.str("fmt")?.str("none")?.str("attStmt")?;
        e.map(1)?
            .str("sig")?
            .bytes(b"s")?
            .str("authData")?
            .bytes(&data)?
            .ok()
    });
    let twice = cbor(|e| {
        e.map(4)?.str("fmt")?.str("none")?.str("attStmt")?.map(0)?;
        e.str("authData")?
            .bytes(&data)?
            .str("authData")?
            .bytes(&data)?
            .ok()
    });
    let trailing = [named("none"), vec![0]].concat();
    for (object, expected) in [
        (
            forger.packed(ES256, &foreign, false),
            PasskeyError::Signature,
        ),
        (
            forger.packed(-257, &signature, false),
            PasskeyError::AttestationFormat,
        ),
        (
            forger.packed(ES256, &signature, true),
            PasskeyError::AttestationFormat,
        ),
        (named("packed"), PasskeyError::AttestationFormat),
        (named("fido-u2f"), PasskeyError::AttestationFormat),
        (none_with_statement, PasskeyError::AttestationFormat),
        (twice, PasskeyError::AttestationObject),
        (trailing, PasskeyError::AttestationObject),
        (data.clone(), PasskeyError::AttestationObject),
        (Vec::new(), PasskeyError::AttestationObject),
    ] {
        assert_eq!(verify(&object), Err(expected));
    }
}
