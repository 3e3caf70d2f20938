use autharmor::UserKey;
use autharmor::auth::{StartMagiclinkEmailAuth, start_magiclink_email_auth};

use super::{BY_ID, BY_NAME, ID, LOCATION, assert_post, location};

#[test]
fn start_magiclink_email_auth_exactly() {
    let path = "/auth/magiclink_email/start";
    for (user, json) in [
        (UserKey::from(ID), BY_ID),
        ("ada@example.com".into(), BY_NAME),
    ] {
        let none = StartMagiclinkEmailAuth::new(user, "https://example.com/in?a=b");
        let url = r#""auth_redirect_url":"https://example.com/in?a=b""#;
        let body = format!("{{{json},{url}}}");
        assert_post(&start_magiclink_email_auth(&none), path, &body);
        let all = none
            .timeout_in_seconds(60)
            .origin_location_data(location())
            .action_name("Sign in")
            .short_msg("To Example")
            .context_data("b", "2")
            .context_data("a", "1")
            .ip_address("192.0.2.7")
            .user_agent("Browser/1");
        let body = format!(
            r#"{{{json},"timeout_in_seconds":60,{LOCATION},"action_name":"Sign in","short_msg":"To Example",{url},"context_data":{{"a":"1","b":"2"}},"ip_address":"192.0.2.7","user_agent":"Browser/1"}}"#
        );
        assert_post(&start_magiclink_email_auth(&all), path, &body);
    }
}
