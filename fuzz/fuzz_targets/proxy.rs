//! A proxy's response to `CONNECT`, and values of `NO_PROXY`.
#![no_main]

use autharmor::fuzzing::{is_exempt_from_proxy, proxy_status};
use autharmor_fuzz::alloc;
use libfuzzer_sys::fuzz_target;

/// The largest head that is read.
const MAX_HEAD: usize = 8 * 1024;
const HOST: &str = "api.example";

// The first byte decides what the rest is.
fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    alloc::bounded(|| match first % 2 {
        0 => response(rest),
        _ => no_proxy(&String::from_utf8_lossy(rest)),
    });
});

fn response(bytes: &[u8]) {
    let (status, read) = proxy_status(bytes);
    assert!(read <= MAX_HEAD);
    let Some(status) = status else { return };
    assert!(!matches!(status, 100 | 102..=199), "an interim response");
    // All that was read is a head, and a tunnel begins right behind it.
    let head = &bytes[..read];
    assert!(head.starts_with(b"HTTP/1.") && head.ends_with(b"\n"));
    if (200..=299).contains(&status) {
        let longer = [head, b"tunnel"].concat();
        assert_eq!(proxy_status(&longer), (Some(status), read));
    }
}

fn no_proxy(list: &str) {
    // Loopback addresses never go through a proxy.
    assert!(is_exempt_from_proxy(list, "127.0.0.1", 443));
    assert!(is_exempt_from_proxy(list, "[::1]", 443));
    let is_exempt = is_exempt_from_proxy(list, HOST, 443);
    let by_suffix = ["api.example", "example"]
        .iter()
        .any(|name| list.to_ascii_lowercase().contains(name));
    assert!(!is_exempt || by_suffix || list.contains('*'), "{list}");
    // More entries exempt more.
    if is_exempt {
        let longer = format!("other.test,{list},10.0.0.0/8");
        assert!(is_exempt_from_proxy(&longer, HOST, 443), "{list}");
        assert!(is_exempt_from_proxy(&longer, "API.Example.", 443), "{list}");
    }
    let and_host = format!("{list},{HOST}");
    assert!(is_exempt_from_proxy(&and_host, HOST, 443), "{list}");
}
