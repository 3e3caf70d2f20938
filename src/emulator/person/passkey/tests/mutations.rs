use super::*;

/// xorshift64: the same mutations in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }

    fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(data.len());
            match self.below(5) {
                0 if at < data.len() => data[at] ^= 1 << self.below(8),
                1 if at < data.len() => data[at] = u8::try_from(self.below(256)).unwrap(),
                2 => data.truncate(at),
                3 => data.insert(at, u8::try_from(self.below(256)).unwrap()),
                _ if at < data.len() => drop(data.drain(at..=at)),
                _ => {}
            }
        }
        data
    }
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
    let mut rng = Rng(0x5eed);

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
                let text = rng.mutate(before.as_bytes());
                String::from_utf8_lossy(&text).into_owned()
            } else {
                encode(&rng.mutate(&base64url(&before).unwrap()))
            };
            let same = base64url(&after) == base64url(&before);
            changed[name] = after.into();
            if name == "signature" || valid.get("signature").is_some() {
                assert_eq!(sign_in(&stored, &changed).is_ok(), same, "{name}");
            } else {
                let _ = register(&changed);
            }
        }
        let options = rng.mutate(create_options().to_string().as_bytes());
        let options = String::from_utf8_lossy(&options);
        let _ = SoftwareAuthenticator::new(1).get(&options, ORIGIN);
        let noise: Vec<u8> = (0..rng.below(80))
            .map(|_| u8::try_from(rng.below(256)).unwrap())
            .collect();
        let _ = Attestation::parse(&noise);
        let _ = AuthenticatorData::parse(&noise);
        let _ = ec_point(&noise);
    }
}
