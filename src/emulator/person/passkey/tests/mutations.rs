use autharmor_test_support::Rng;

use super::*;

fn mutate(rng: &mut Rng, data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(data.len());
        match rng.below(5) {
            0 if at < data.len() => data[at] ^= 1 << rng.below(8),
            1 if at < data.len() => data[at] = rng.byte(),
            2 => data.truncate(at),
            3 => data.insert(at, rng.byte()),
            _ if at < data.len() => drop(data.drain(at..=at)),
            _ => {}
        }
    }
    data
}

#[test]
fn mutated_input_is_refused_without_a_panic() {
    let mut person = SoftwareAuthenticator::new(1);
    let response = create(&mut person);
    let stored = register(&response).unwrap();
    let assertion = person.get(&get_options().to_string(), ORIGIN).unwrap();
    let forger = Forger::new();
    let client_data = client_data(CREATE, CHALLENGE, ORIGIN);
    let signature = sign(
        &forger.key,
        &signed_bytes(&forger.auth_data(), &client_data),
    )
    .unwrap();
    let packed = registration(&forger.packed(ES256, &signature, false));
    let mut rng = Rng::new(0x5eed);

    for _ in 0..4000 {
        for (valid, names) in [
            (&response, &["id", "attestation_object", "client_data"][..]),
            (&packed, &["attestation_object", "client_data"]),
            (
                &assertion,
                &["id", "authenticator_data", "client_data", "signature"],
            ),
        ] {
            let mut changed = valid.clone();
            let name = names[rng.below(names.len())];
            let before = field(valid, name).to_owned();
            let after = if rng.below(4) == 0 {
                let text = mutate(&mut rng, before.as_bytes());
                String::from_utf8_lossy(&text).into_owned()
            } else {
                encode(&mutate(&mut rng, &base64url(&before).unwrap()))
            };
            let same = base64url(&after) == base64url(&before);
            changed[name] = after.into();
            if name == "signature" || valid.get("signature").is_some() {
                assert_eq!(sign_in(&stored, &changed).is_ok(), same, "{name}");
            } else {
                let _ = register(&changed);
            }
        }
        let options = mutate(&mut rng, create_options().to_string().as_bytes());
        let options = String::from_utf8_lossy(&options);
        let _ = SoftwareAuthenticator::new(1).get(&options, ORIGIN);
        let noise: Vec<u8> = (0..rng.below(80)).map(|_| rng.byte()).collect();
        let _ = Attestation::parse(&noise);
        let _ = AuthenticatorData::parse(&noise);
        let _ = ec_point(&noise);
    }
}
