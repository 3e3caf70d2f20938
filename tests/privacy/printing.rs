//! Tests what `Debug`, `Display` and serde print of every public type.

use std::any::type_name;
use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autharmor::auth::*;
use autharmor::credentials::{
    Credential, CredentialId, CredentialType, DisableUserCredentialResponse,
};
use autharmor::emulator::{Emulator, EmulatorBuilder, EmulatorError, Fault, NewUser, Scanned};
use autharmor::flow::{
    AuthWait, AuthenticatorRegistrationStarted, BrowserSignIn, ExpectedUser, Method, Outage,
    PendingMagiclink, PendingMagiclinkRegistration, RegisteredUser, Registration, RegistrationWait,
    RegistrationWatch, SignIn, SignedInUser, WaitPolicy, WaitProgress, WebauthnRegistrationStarted,
    WebauthnStarted,
};
use autharmor::proof::{Check, Expectation, PinnedKey, Proof, ProofError, VerifiedProof};
use autharmor::registrations::*;
use autharmor::users::*;
use autharmor::{
    ApiVersion, Attempt, Client, ClientAuth, Error, FileTokenStore, HttpRequest, HttpResponse,
    Lease, Limits, ManualClock, Page, PageInfo, PageQuery, Private, Request, RetryPolicy, Secret,
    StoredToken, SystemClock, Target, Timestamp, TokenKey, TransportError, TransportErrorKind,
    UserKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::canaries::{
    CLIENT_ID, Canaries, NAME, NEW_NAME, NONCE, ODD_NAME, PASSWORD, QR, SECRET, SIG, TOKEN,
    VALIDATION,
};
use crate::failures;
use crate::flows::{REDIRECT, emulator};
use autharmor_test_support::rustdoc::rustdoc_json;

const ID: &str = "11111111-2222-4333-8444-555555555555";

/// Enums whose values are constants of the API. They hold neither personal data
/// nor secrets.
const VOCABULARY: [&str; 14] = [
    "AuthMethod",
    "AuthMethodId",
    "AuthMethodUseType",
    "AuthRequestStatus",
    "AuthenticatorAttachment",
    "CredentialType",
    "HashType",
    "MagiclinkEmailRegistrationType",
    "RegistrationStatus",
    "ResidentKeyRequirement",
    "ResultCode",
    "SignedMessageType",
    "SigningMethod",
    "UserVerificationRequirement",
];

/// Prints values and keeps a list of their types.
struct Printer {
    canaries: Canaries,
    /// Texts that must not be in serde's output either.
    secrets: Canaries,
    debug: BTreeSet<String>,
    display: BTreeSet<String>,
}

impl Printer {
    fn new() -> Self {
        Self {
            canaries: Canaries::all(),
            // A signed message is evidence and is serialised unchanged. It holds
            // the nonce, which is used up by then.
            secrets: Canaries::secrets_but_nonce(),
            debug: BTreeSet::new(),
            display: BTreeSet::new(),
        }
    }

    fn debug<T: Debug>(&mut self, value: &T) {
        let name = short_name::<T>();
        assert_ne!(format!("{value:?}"), "", "Debug of {name}");
        self.canaries
            .check_debug(value, &format!("Debug of {name}"));
        self.debug.insert(name);
    }

    fn display<T: Debug + Display>(&mut self, value: &T) {
        let name = short_name::<T>();
        self.canaries
            .check(&value.to_string(), &format!("Display of {name}"));
        self.display.insert(name);
        self.debug(value);
    }

    /// Reads a response that is full of canaries.
    fn response<T: Debug + DeserializeOwned + Serialize>(&mut self, json: Value) -> T {
        let value: T = serde_json::from_value(json).unwrap();
        self.debug(&value);
        let written = serde_json::to_string(&value).unwrap();
        let place = format!("serde output of {}", short_name::<T>());
        self.secrets.check(&written, &place);
        value
    }
}

/// A type's name without its path and parameters.
fn short_name<T>() -> String {
    let name = type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name).to_owned()
}

/// Other HTTP stacks hide headers that are marked as sensitive.
#[test]
fn authorization_headers_are_marked_as_sensitive() {
    for (client_auth, expected) in [
        (ClientAuth::SecretPost, vec![("Bearer", true)]),
        (
            ClientAuth::SecretBasic,
            vec![("Basic", true), ("Bearer", true)],
        ),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let authorizations = Arc::clone(&seen);
        let transport = move |request: HttpRequest, _: Limits| {
            if let Some(value) = request.headers().get("authorization") {
                let (scheme, _) = value.to_str().unwrap().split_once(' ').unwrap();
                let seen = (scheme.to_owned(), value.is_sensitive());
                authorizations.lock().unwrap().push(seen);
            }
            Ok(one_user(&request))
        };
        let client = Client::builder(CLIENT_ID, SECRET)
            .client_auth(client_auth)
            .transport(transport)
            .build()
            .unwrap();
        client.list_users(UserQuery::new()).unwrap();
        let seen = seen.lock().unwrap();
        let seen = seen.iter().map(|(scheme, it)| (scheme.as_str(), *it));
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn nothing_prints_a_secret_or_a_name() {
    let mut printer = Printer::new();
    basics(&mut printer);
    requests(&mut printer);
    responses(&mut printer);
    auth_responses(&mut printer);
    clients(&mut printer);
    flows(&mut printer);
    emulators(&mut printer);

    let api = PublicApi::read();
    let mut expected: BTreeSet<_> = api.printable("Debug").map(str::to_owned).collect();
    for name in VOCABULARY {
        assert!(expected.remove(name), "{name} is no public type any more");
    }
    let missed: Vec<_> = expected.difference(&printer.debug).collect();
    assert!(missed.is_empty(), "the Debug of {missed:?} is not tested");
    let mut displayed: BTreeSet<_> = api.printable("Display").map(str::to_owned).collect();
    displayed.retain(|name| !VOCABULARY.contains(&name.as_str()));
    let missed: Vec<_> = displayed.difference(&printer.display).collect();
    assert!(missed.is_empty(), "the Display of {missed:?} is not tested");
    // The list is not empty, and the test of the errors has all kinds.
    assert!(expected.len() > 70, "{expected:?}");
    let kinds: BTreeSet<_> = failures::KINDS.iter().map(|it| format!("{it:?}")).collect();
    assert_eq!(kinds, api.variants("ErrorKind"));
}

fn basics(printer: &mut Printer) {
    printer.debug(&Secret::from(SECRET));
    printer.debug(&Private::from(NAME));
    printer.debug(&UserKey::from(NAME));
    printer.display(&Timestamp::from("2020-07-11T17:09:44Z"));
    printer.display(&CredentialId::from("an id"));
    printer.debug(&RetryPolicy::default());
    printer.debug(&FileTokenStore::new("token"));
    let key = json!({"login_url": "https://login.example", "client_id": CLIENT_ID, "scopes": ""});
    printer.display(&serde_json::from_value::<TokenKey>(key).unwrap());
    let text = json!({"v": 1, "access_token": TOKEN, "issued_at": 1, "expires_at": 2}).to_string();
    printer.debug(&StoredToken::decode(&text).unwrap());
    printer.debug(&Lease::Held("holder".to_owned()));
    let mut page = PageQuery::new();
    page.page_number = Some(7);
    printer.debug(&page);
    printer.debug(&UserQuery::new().username(NAME).page(page));
    printer.debug(&UpdateUser::new(NEW_NAME));
    printer.debug(&TransportErrorKind::Broken);
    printer.debug(&ManualClock::new());
    printer.debug(&SystemClock);

    let target = Target::new("https://api.example").unwrap();
    printer.debug(&target);
    let target = target.version(ApiVersion::V4).username_in_query(true);
    let named: Request<UserDetails> = get_user(NAME);
    printer.debug(&named);
    let http: HttpRequest = named.to_http(&target).unwrap();
    assert!(printer.canaries.find(&http.uri().to_string()).is_some());
    printer.debug(&http);
    let filtered = list_users(UserQuery::new().username(NAME));
    printer.debug(&filtered);
    printer.debug(&filtered.to_http(&target).unwrap());
    let validate = validate_authenticator_auth(&validation());
    printer.debug(&validate);
    let v3 = Target::new("https://api.example").unwrap();
    printer.debug(&validate.to_http(&v3).unwrap());
    let by_header = get_user(ODD_NAME).to_http(&v3).unwrap();
    printer.debug(&by_header);
    // The headers are marked as sensitive for other HTTP stacks as well.
    let headers = by_header.into_http().headers().clone();
    printer.canaries.check_debug(&headers, "the headers");

    let response = http::Response::builder()
        .header("x-echo", NAME)
        .header("set-cookie", TOKEN)
        .body(VALIDATION.as_bytes().to_vec())
        .unwrap();
    printer.debug(&HttpResponse::from(response));
}

fn validation() -> ValidateAuth {
    ValidateAuth::new(ID.parse().unwrap(), VALIDATION).nonce(NONCE)
}

fn requests(printer: &mut Printer) {
    let id = ID.parse().unwrap();
    let place = LocationData::new().latitude("51.5").longitude("-0.12");
    printer.debug(&place);
    printer.debug(
        &StartAuthenticatorAuth::new()
            .user(NAME)
            .nonce(NONCE)
            .origin_location_data(place),
    );
    printer.debug(&StartWebauthnAuth::new().user(ODD_NAME).nonce(NONCE));
    printer.debug(&FinishWebauthnAuth::new(id, SIG, VALIDATION));
    printer.debug(&StartMagiclinkEmailAuth::new(NAME, REDIRECT));
    printer.debug(&validation());
    printer.debug(&StartAuthenticatorRegistration::new(NAME));
    printer.debug(&StartWebauthnRegistration::new(NAME).email_address(NEW_NAME));
    printer.debug(&StartWebauthnRegistrationForUser::new());
    let page = Fido2RegistrationData::new("id", "attestation", "data");
    printer.debug(&page);
    printer.debug(&FinishWebauthnRegistration::new(SIG, page));
    printer.debug(&ValidateRegistration::new(VALIDATION));
    printer.debug(&StartMagiclinkEmailRegistration::new(NAME, REDIRECT));
    printer.debug(&StartChangeMagiclinkEmail::new(NAME, REDIRECT));
    printer.debug(&ValidateMagiclinkEmailRegistration::new(VALIDATION));
}

fn responses(printer: &mut Printer) {
    printer.response::<StartAuthenticatorAuthResponse>(json!({
        "auth_request_id": ID, "user_id": ID, "auth_validation_token": VALIDATION,
        "visual_verify_value": "42", "qr_code_data": QR, "push_message_sent": true,
        "response_code": 0, "response_message": format!("sent to {NAME}"),
    }));
    printer.response::<StartWebauthnAuthResponse>(json!({
        "auth_request_id": ID, "aa_guid": SIG,
        "fido2_json_options": {"user": {"name": NAME}},
    }));
    printer.response::<FinishWebauthnAuthResponse>(json!({
        "auth_request_id": ID, "auth_validation_token": VALIDATION, "username": NAME,
    }));
    printer.response::<StartMagiclinkEmailAuthResponse>(json!({"auth_request_id": ID}));
    printer.response::<StartAuthenticatorRegistrationResponse>(json!({
        "registration_id": ID, "username": NAME, "qr_code_data": QR,
        "registration_validation_token": VALIDATION,
    }));
    printer.response::<StartWebauthnRegistrationResponse>(json!({
        "registration_id": ID, "aa_sig": SIG,
        "fido2_json_options": json!({"user": {"name": NAME, "displayName": ODD_NAME}}).to_string(),
    }));
    printer.response::<FinishWebauthnRegistrationResponse>(json!({
        "user_id": ID, "username": NAME, "registration_validation_token": VALIDATION,
    }));
    printer.response::<ValidateRegistrationResponse>(json!({
        "credential_id": ID, "user_id": ID, "username": NAME,
    }));
    printer.response::<StartMagiclinkEmailRegistrationResponse>(json!({"timeout_in_seconds": 300}));
    printer.response::<ValidateMagiclinkEmailRegistrationResponse>(json!({
        "magiclink_email_registration_type": "new_user", "user_id": ID, "username": NAME,
        "email_address": NEW_NAME, "context_data": {"plan": "free"},
    }));
    printer.response::<RegistrationInfo>(json!({"registration_status_code": 8}));

    let user = json!({
        "user_id": ID, "username": NAME, "email_address": NEW_NAME,
        "enrolled_auth_methods": [
            {"auth_method_id": 4, "auth_method_name": "AuthArmorAuthenticator",
             "auth_method_masked_info": ODD_NAME},
        ],
    });
    printer.response::<User>(user.clone());
    printer.response::<UpdateUserResponse>(user.clone());
    let details = printer.response::<UserDetails>(user.clone());
    printer.debug(&details.enrolled_auth_methods[0]);
    printer.response::<EnrolledAuthMethod>(user["enrolled_auth_methods"][0].clone());
    printer.response::<Page<User>>(json!({"user_records": [user]}));
    printer.response::<PageInfo>(json!({"currnet_page_number": 1}));
    let credential = json!({
        "credential_id": ID, "name": ODD_NAME, "device_type": "webauthn", "enabled": true,
    });
    let read = printer.response::<Credential>(credential.clone());
    assert_eq!(read.device_type, Some(CredentialType::Webauthn));
    printer.response::<DisableUserCredentialResponse>(credential.clone());
    printer.response::<Page<Credential>>(json!({"credential_records": [credential]}));
}

fn auth_responses(printer: &mut Printer) {
    let profile = json!({"user_id": ID, "username": NAME});
    let signed = json!({"signing_data": {"nonce": NONCE, "who": NAME}}).to_string();
    let details = json!({
        "request_details": {
            "auth_profile_details": profile,
            "origin_location_data": {"latitude": "51.5"},
            "auth_method": "WebAuthN",
        },
        "response_details": {
            "auth_method": {"name": "WebAuthN", "usetype": "fido2"},
            "secure_signed_message": {
                "signed_data": BASE64_STANDARD.encode(signed),
                "signed_data_type": "AuthResponse",
                "signature_data": {
                    "hash_value": "00ff",
                    "signature_data": json!({"user_handle": NAME}).to_string(),
                },
                "signature_validation_details": {"fido2_options_json": NAME},
            },
            "mobile_device_details": {"platform": "Android", "model": "Pixel"},
            "auth_profile_details": profile,
        },
    });
    let response = json!({
        "result_code": 2, "result_message": format!("{NAME} approved"), "authorized": true,
        "auth_details": details, "context_data": {"cart": "42"},
    });
    let info = json!({"auth_request_status_id": 2, "auth_response": response});
    printer.response::<AuthInfo>(info.clone());
    printer.response::<Page<AuthInfo>>(json!({"auth_history_records": [info]}));
    printer.response::<AuthResponse>(response.clone());
    printer.response::<ValidateAuthDetails>(response.clone());
    printer.response::<ValidateAuthResponse>(json!({"validate_auth_response_details": response}));
    printer.response::<AuthDetails>(details.clone());
    printer.response::<AuthRequestDetails>(details["request_details"].clone());
    let response = &details["response_details"];
    printer.response::<AuthResponseDetails>(response.clone());
    printer.response::<AuthProfileDetails>(profile);
    printer.response::<ResponseAuthMethod>(response["auth_method"].clone());
    printer.response::<MobileDeviceDetails>(response["mobile_device_details"].clone());
    let message = &response["secure_signed_message"];
    printer.response::<SecureSignedMessage>(message.clone());
    printer.response::<SignatureData>(message["signature_data"].clone());
}

/// Returns a token or a page with one user.
fn one_user(request: &HttpRequest) -> HttpResponse {
    let body = if request.uri().path() == "/connect/token" {
        json!({"access_token": TOKEN, "expires_in": 600})
    } else {
        json!({"user_records": [{"user_id": ID, "username": NAME}]})
    };
    let response = http::Response::builder().header("ratelimit-remaining", 7);
    response.body(body.to_string().into_bytes()).unwrap().into()
}

fn clients(printer: &mut Printer) {
    let builder = Client::builder(CLIENT_ID, SECRET)
        .client_auth(ClientAuth::SecretBasic)
        .proxy(format!("http://ada:{PASSWORD}@proxy.example:3128"))
        .scopes(["a.scope"])
        .user_agent_suffix("tests/1");
    printer.debug(&builder);
    let bad = builder.clone().api_url(format!("https://ada:{PASSWORD}@x"));
    printer.debug(&bad);
    printer.display::<Error>(&bad.build().unwrap_err());
    let with_key = builder.clone().client_certificate(SECRET, SECRET);
    printer.debug(&with_key.add_root_certificates(SECRET));
    printer.debug(&builder.build().unwrap());

    let limits = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&limits);
    let transport = move |request: HttpRequest, limits: Limits| {
        *seen.lock().unwrap() = Some(limits);
        Ok(one_user(&request))
    };
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&attempts);
    let client = Client::builder(CLIENT_ID, SECRET)
        .transport(transport)
        .on_attempt(move |attempt: &Attempt| observed.lock().unwrap().push(attempt.clone()))
        .build()
        .unwrap();
    let mut records = client.users(UserQuery::new().username(NAME));
    assert!(records.next().unwrap().is_ok());
    printer.debug(&records);
    printer.debug(&client);
    printer.debug(&limits.lock().unwrap().unwrap());
    let attempts = attempts.lock().unwrap();
    assert_eq!(attempts.len(), 2);
    attempts.iter().for_each(|attempt| printer.debug(attempt));
    printer.display(
        &TransportError::new(TransportErrorKind::Broken, true)
            .with_source(io::Error::other("it was cut")),
    );
}

impl Printer {
    /// Prints a pending state. It serialises its secrets on purpose, so that it
    /// can be stored; they are added to the canaries.
    fn pending<T: Debug + DeserializeOwned + Serialize>(&mut self, pending: &T, secrets: &[&str]) {
        let kept = serde_json::to_value(pending).unwrap();
        for name in secrets {
            let secret = kept[name].as_str();
            let secret = secret.unwrap_or_else(|| panic!("no {name} in {kept}"));
            self.canaries.add(name, secret);
        }
        self.debug(pending);
        self.debug(&serde_json::from_value::<T>(kept).unwrap());
    }
}

fn flows(printer: &mut Printer) {
    for version in [ApiVersion::V3, ApiVersion::V4] {
        let emulator = emulator(NAME);
        let builder = emulator.client_builder().api_version(version);
        let client = builder.username_in_query(true).build().unwrap();
        sign_ins(printer, &emulator, &client);
        enrolments(printer, &emulator, &client);
        for request in emulator.requests() {
            printer.debug(&request);
        }
    }
}

fn sign_ins(printer: &mut Printer, emulator: &Emulator, client: &Client) {
    let request = StartAuthenticatorAuth::new().user(NAME);
    let started = client.begin_authenticator_sign_in(&request).unwrap();
    let code = started.qr_code_data.as_ref().unwrap().expose().to_owned();
    printer.canaries.add("QR data", &code);
    printer.pending(&started.pending, &["token", "nonce"]);
    printer.debug(&started);
    for request in emulator.pending_requests() {
        assert!(
            printer
                .canaries
                .find(request.username.as_ref().unwrap())
                .is_some()
        );
        printer.debug(&request);
    }
    printer.debug::<Scanned>(&emulator.scan_qr(&code, None).unwrap());
    emulator.approve(started.pending.auth_request_id()).unwrap();
    let id = started.pending.auth_request_id();
    let seen = Mutex::new(None::<WaitProgress>);
    emulator.fault(Fault::status(503).on("get_auth_info").times(1));
    let no_time = WaitPolicy::new().timeout(Duration::ZERO);
    match client.wait_for_auth(id, &no_time).unwrap() {
        AuthWait::ServiceUnavailable(outage) => printer.debug::<Outage>(&outage),
        other => panic!("{other:?}"),
    }
    let policy = WaitPolicy::new().on_progress(|progress| {
        *seen.lock().unwrap() = Some(progress.clone());
        ControlFlow::Continue(())
    });
    printer.debug(&policy);
    printer.debug::<AuthWait>(&client.wait_for_auth(id, &policy).unwrap());
    printer.debug(seen.lock().unwrap().as_ref().unwrap());
    let end: SignIn = started.pending.complete(client).unwrap();
    printer.debug::<SignedInUser>(end.user().unwrap());
    printer.debug(&end);
    proofs(printer, end.user().unwrap());
    let expected = ExpectedUser::Is(NAME.into());
    printer.debug(&expected);
    let from_page = BrowserSignIn::new(Method::Authenticator, id, VALIDATION, expected);
    printer.debug(&from_page.nonce(NONCE));

    let request = StartMagiclinkEmailAuth::new(NAME, REDIRECT);
    let pending: PendingMagiclink = client.begin_magiclink_sign_in(&request).unwrap();
    printer.pending(&pending, &[]);
    for mail in emulator.outbox() {
        printer.canaries.add("link", &mail.link);
        printer.debug(&mail);
    }
}

fn proofs(printer: &mut Printer, user: &SignedInUser) {
    let expectation = user.expectation(Expectation::key_in_message()).unwrap();
    printer.debug::<Expectation>(&expectation);
    let proof = user.proof().unwrap();
    printer.debug::<Proof>(proof);
    let verified = proof.verify(&expectation).unwrap();
    printer.debug::<VerifiedProof>(&verified);
    printer.debug::<PinnedKey>(verified.key());
    printer.display(&ProofError::Failed(Check::Nonce));
}

fn enrolments(printer: &mut Printer, emulator: &Emulator, client: &Client) {
    let key = UserKey::from(NAME);
    let request = StartWebauthnRegistrationForUser::new();
    let started = client
        .begin_webauthn_registration_for_user(&key, &request)
        .unwrap();
    printer.pending(&started.pending, &["aa_sig"]);
    printer.debug::<WebauthnRegistrationStarted>(&started);
    let page = emulator
        .create_passkey(&started.fido2_json_options, emulator.origin())
        .unwrap();
    let end: Registration = started.pending.complete(client, &page).unwrap();
    printer.debug::<RegisteredUser>(end.user().unwrap());
    printer.debug(&end);

    let request = StartWebauthnAuth::new().user(NAME);
    let started = client.begin_webauthn_sign_in(&request).unwrap();
    let secrets: &[_] = match client.api_version() {
        ApiVersion::V3 => &["aa_sig"],
        ApiVersion::V4 => &["aa_sig", "nonce"],
    };
    printer.pending(&started.pending, secrets);
    printer.debug::<WebauthnStarted>(&started);

    let started = client
        .begin_authenticator_registration_for_user(&key)
        .unwrap();
    let code = started.qr_code_data.as_ref().unwrap().expose().to_owned();
    printer.canaries.add("QR data", &code);
    let secrets: &[_] = match client.api_version() {
        ApiVersion::V3 => &[],
        ApiVersion::V4 => &["token"],
    };
    printer.pending(&started.pending, secrets);
    printer.debug::<AuthenticatorRegistrationStarted>(&started);
    for registration in emulator.pending_registrations() {
        printer.debug(&registration);
    }
    printer.debug(&emulator.scan_qr(&code, None).unwrap());

    let watch = RegistrationWatch::user(client, &key).unwrap();
    printer.debug(&watch);
    let policy = WaitPolicy::new().timeout(Duration::ZERO);
    let wait: RegistrationWait = client.wait_for_registration(&watch, &policy).unwrap();
    printer.debug(&wait);

    let request = StartMagiclinkEmailRegistration::new("ada+sec0nd@example.com", REDIRECT);
    printer
        .canaries
        .add("new address", "ada+sec0nd@example.com");
    let pending: PendingMagiclinkRegistration = client
        .begin_magiclink_registration_for_user(&key, &request)
        .unwrap();
    printer.pending(&pending, &[]);
}

fn emulators(printer: &mut Printer) {
    let user = NewUser::new(NAME).email(NEW_NAME);
    printer.debug(&user);
    let builder: EmulatorBuilder = Emulator::builder().client(CLIENT_ID, SECRET).user(user);
    printer.debug(&builder);
    let emulator = builder.start().unwrap();
    printer.debug(&emulator);
    let unknown = emulator.click(QR).unwrap_err();
    printer.display::<EmulatorError>(&unknown);
    let unreadable = emulator.create_passkey(VALIDATION, emulator.origin());
    let EmulatorError::Passkey(passkey) = unreadable.unwrap_err() else {
        panic!("another refusal")
    };
    printer.display(&passkey);
    printer.display(&EmulatorError::Passkey(passkey));
    printer.debug(&Fault::status(404).body("text/plain", NAME).retry_after("2"));
}

/// The public API as rustdoc describes it.
struct PublicApi(Value);

impl PublicApi {
    fn read() -> Self {
        Self(rustdoc_json(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Structs and enums that implement a trait of `std::fmt`, without enums
    /// whose variants hold no values.
    fn printable(&self, way: &str) -> impl Iterator<Item = &str> {
        let index = self.0["index"].as_object().unwrap();
        let printable: BTreeSet<u64> = index
            .values()
            .map(|item| &item["inner"]["impl"])
            .filter(|it| {
                it["trait"]["path"]
                    .as_str()
                    .is_some_and(|path| path.ends_with(way))
            })
            .filter_map(|it| it["for"]["resolved_path"]["id"].as_u64())
            .collect();
        index.values().filter_map(move |item| {
            let inner = &item["inner"];
            let is_type = !inner["struct"].is_null() || self.can_hold_something(&inner["enum"]);
            let prints = printable.contains(&item["id"].as_u64()?);
            (item["crate_id"] == 0 && is_type && prints).then(|| item["name"].as_str())?
        })
    }

    fn can_hold_something(&self, an_enum: &Value) -> bool {
        let variants = an_enum["variants"].as_array();
        variants.into_iter().flatten().any(|id| {
            let variant = &self.0["index"][id.to_string()];
            variant["inner"]["variant"]["kind"] != "plain"
        })
    }

    /// The variants of an enum.
    fn variants(&self, name: &str) -> BTreeSet<String> {
        let index = self.0["index"].as_object().unwrap();
        let is_it = |item: &&Value| item["name"] == name && !item["inner"]["enum"].is_null();
        let found = index.values().find(is_it).unwrap();
        let variants = found["inner"]["enum"]["variants"].as_array().unwrap();
        let names = variants.iter().map(|id| &index[&id.to_string()]["name"]);
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }
}
