//! Ids in routes: one path segment that decodes to the id, and that leads to no
//! other path, however often a server decodes it.
#![no_main]

use autharmor::{ApiVersion, ErrorKind, Target, credentials};
use autharmor_fuzz::{USER, alloc, assert_no_secrets, split_selector};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode;

fuzz_target!(|data: &[u8]| {
    let Some((bits, id)) = split_selector(data) else {
        return;
    };
    let Ok(id) = std::str::from_utf8(id) else {
        return;
    };
    let version = if bits & 1 == 1 {
        ApiVersion::V4
    } else {
        ApiVersion::V3
    };
    let target = Target::new("https://api.example/prefix")
        .unwrap()
        .version(version);
    alloc::bounded(|| {
        let (request, verb) = if bits & 2 == 0 {
            let request = credentials::get_user_credential(USER, id);
            (request.to_http(&target), "")
        } else {
            let request = credentials::disable_user_credential(USER, id);
            (request.to_http(&target), "/disable")
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => {
                assert_no_secrets(&error, &[]);
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let is_plain = (1..=255).contains(&id.len())
                    && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
                assert!(!is_plain, "{error}");
                return;
            }
        };
        assert_eq!(request.uri().query(), None);
        assert_eq!(request.uri().authority().unwrap(), "api.example");
        let before = format!("/prefix/v4/users/{USER}/credentials/");
        let rest = request.uri().path().strip_prefix(&before).unwrap();
        let segment = rest.strip_suffix(verb).unwrap();
        assert!(
            segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte))
        );
        let mut bytes: Vec<u8> = percent_decode(segment.as_bytes()).collect();
        assert_eq!(bytes, id.as_bytes());
        loop {
            assert!(!bytes.is_empty());
            assert!(bytes.iter().all(|byte| *byte >= b' ' && *byte != 0x7f));
            let steps = bytes.split(|byte| b"/\\".contains(byte));
            assert!(steps.into_iter().all(|step| step != b"." && step != b".."));
            let decoded: Vec<u8> = percent_decode(&bytes).collect();
            if decoded == bytes {
                break;
            }
            bytes = decoded;
        }
    });
});
