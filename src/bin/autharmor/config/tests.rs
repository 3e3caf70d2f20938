use std::collections::BTreeMap;
use std::fs;

use autharmor_test_support::Folder;

use super::*;

/// What surrounds the program.
struct World {
    folder: Folder,
    args: ConfigArgs,
    variables: BTreeMap<&'static str, OsString>,
}

impl World {
    /// Nothing is set but an empty configuration file.
    fn new() -> Self {
        let folder = Folder::new();
        let config = folder.path().join("config.toml");
        let world = Self {
            folder,
            args: ConfigArgs {
                config: Some(config),
                ..ConfigArgs::default()
            },
            variables: BTreeMap::new(),
        };
        world.file("config.toml", "", 0o600);
        world
    }

    /// Writes a file. Its mode counts on Unix.
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        #[cfg(not(unix))]
        let _ = mode;
        path
    }

    fn config(&self, text: &str) {
        self.file("config.toml", text, 0o644);
    }

    fn variable(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.variables.insert(name, value.into());
    }

    fn load(&self, trust: Trust) -> Result<Settings, Failure> {
        Settings::load_from(&self.args, trust, &|name| self.variables.get(name).cloned())
    }

    fn refusal(&self, trust: Trust) -> String {
        match self.load(trust) {
            Err(Failure::Config(text)) => {
                let text = text.replace(&self.folder.path().display().to_string(), "");
                text.replace('\\', "/")
            }
            other => panic!("{other:?}"),
        }
    }

    /// Every setting, in every layer that can hold it.
    fn full() -> Self {
        let mut world = Self::new();
        world.file("secret", "in-the-file\r\n", 0o600);
        world.config(
            r#"
            client_id = "file-id"
            client_secret_file = "secret"
            api_url = "https://file-api"
            login_url = "https://file-login"
            ca_file = "file-ca"
            api_version = "v4"
            username_in_query = true
            non_ascii_usernames = true
            token_file = "file-token"
            proxy = "http://user:pass@file-proxy"
            timeout = 7
            registration_redirect_url = "https://file-page"
            "#,
        );
        world.variable("AUTHARMOR_CLIENT_ID", "env-id");
        world.variable("AUTHARMOR_CLIENT_SECRET", "in-the-environment");
        world.variable("AUTHARMOR_API_URL", "https://env-api");
        world.variable("AUTHARMOR_LOGIN_URL", "https://env-login");
        world.variable("AUTHARMOR_CA_FILE", "/env-ca");
        world
    }
}

/// Value and source of a setting, as text.
fn shown<T: ToString>(setting: &Setting<T>) -> (String, String) {
    let source = match &setting.source {
        Source::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        other => other.to_string(),
    };
    (setting.value.to_string(), source)
}

fn shown_path(setting: Option<&Setting<PathBuf>>) -> (String, String) {
    let setting = setting.unwrap();
    shown(&Setting {
        value: setting.value.display().to_string(),
        source: setting.source.clone(),
    })
}

fn pair(value: &str, source: &str) -> (String, String) {
    (value.to_owned(), source.to_owned())
}

#[test]
fn options_come_before_the_environment_and_that_before_the_file() {
    let mut world = World::full();
    let settings = world.load(Trust::Caller).unwrap();
    assert_eq!(
        shown(&settings.client_id),
        pair("env-id", "AUTHARMOR_CLIENT_ID")
    );
    assert_eq!(settings.client_secret.value.expose(), "in-the-environment");
    let api = settings.api_url.as_ref().unwrap();
    assert_eq!(shown(api), pair("https://env-api", "AUTHARMOR_API_URL"));
    let login = settings.login_url.as_ref().unwrap();
    assert_eq!(
        shown(login),
        pair("https://env-login", "AUTHARMOR_LOGIN_URL")
    );
    let ca = shown_path(settings.ca_file.as_ref());
    assert_eq!(ca, pair("/env-ca", "AUTHARMOR_CA_FILE"));
    // No variable has these.
    let token = shown_path(settings.token_file.as_ref());
    let path = world.folder.path().join("file-token");
    assert_eq!(token, pair(path.to_str().unwrap(), "config.toml"));
    assert_eq!(settings.timeout.unwrap().value, Duration::from_secs(7));
    assert_eq!(settings.api_version.unwrap().value, ApiVersion::V4);
    assert!(settings.username_in_query.unwrap().value);
    assert!(settings.non_ascii_usernames.unwrap().value);
    let proxy = settings.proxy.unwrap();
    assert_eq!(proxy.value.expose(), "http://user:pass@file-proxy");
    let page = settings.registration_redirect_url.unwrap();
    assert_eq!(page.value, "https://file-page");

    world.args.client_id = Some("option-id".into());
    world.args.client_secret_file = Some(world.file("other", "in-the-option", 0o600));
    world.args.api_url = Some("https://option-api".into());
    world.args.login_url = Some("https://option-login".into());
    world.args.ca_file = Some("/option-ca".into());
    world.args.token_file = Some("/option-token".into());
    world.args.timeout = Some(9);
    // An option also ends the conflict between two variables.
    world.variable("AUTHARMOR_CLIENT_SECRET_FILE", "/nowhere");
    let settings = world.load(Trust::Caller).unwrap();
    assert_eq!(shown(&settings.client_id), pair("option-id", "--client-id"));
    assert_eq!(settings.client_secret.value.expose(), "in-the-option");
    let source = settings.client_secret.source.to_string();
    assert_eq!(source, "--client-secret-file");
    let api = settings.api_url.as_ref().unwrap();
    assert_eq!(shown(api), pair("https://option-api", "--api-url"));
    let login = settings.login_url.as_ref().unwrap();
    assert_eq!(shown(login), pair("https://option-login", "--login-url"));
    let ca = shown_path(settings.ca_file.as_ref());
    assert_eq!(ca, pair("/option-ca", "--ca-file"));
    let token = shown_path(settings.token_file.as_ref());
    assert_eq!(token, pair("/option-token", "--token-file"));
    assert_eq!(settings.timeout.unwrap().value, Duration::from_secs(9));
}

#[test]
fn the_environment_does_not_count_where_nobody_is_trusted() {
    let mut world = World::full();
    let folder = world.folder.path().to_owned();
    world.variable("CREDENTIALS_DIRECTORY", folder);
    let settings = world.load(Trust::Nobody).unwrap();
    assert_eq!(shown(&settings.client_id), pair("file-id", "config.toml"));
    assert_eq!(settings.client_secret.value.expose(), "in-the-file");
    let api = settings.api_url.as_ref().unwrap();
    assert_eq!(shown(api), pair("https://file-api", "config.toml"));
    let login = settings.login_url.as_ref().unwrap();
    assert_eq!(shown(login), pair("https://file-login", "config.toml"));
    // Relative to the folder of the file, not to the current one.
    let ca = world.folder.path().join("file-ca");
    assert_eq!(settings.ca_file.unwrap().value, ca);

    world.config("client_id = \"x\"\nclient_secret_credential = \"secret\"");
    let text = world.refusal(Trust::Nobody);
    assert!(text.starts_with("client_secret_credential needs the environment"));
}

#[test]
fn the_secret_has_many_sources_and_one_at_a_time() {
    let mut world = World::new();
    let credential = world.file("credential", "of-systemd\n", 0o400);
    let in_variable = world.file("variable", "of-variable\n", 0o600);
    world.config("client_id = \"x\"\nclient_secret_credential = \"credential\"");
    let text = world.refusal(Trust::Caller);
    assert!(
        text.ends_with("systemd has passed no credentials"),
        "{text}"
    );
    world.variable("CREDENTIALS_DIRECTORY", credential.parent().unwrap());
    let secret = |world: &World| {
        let settings = world.load(Trust::Caller).unwrap();
        settings.client_secret.value.expose().to_owned()
    };
    assert_eq!(secret(&world), "of-systemd");
    world.variable("AUTHARMOR_CLIENT_SECRET_FILE", in_variable);
    assert_eq!(secret(&world), "of-variable");
    world.variable("AUTHARMOR_CLIENT_SECRET", "of-environment");
    assert_eq!(
        world.refusal(Trust::Caller),
        "AUTHARMOR_CLIENT_SECRET and AUTHARMOR_CLIENT_SECRET_FILE are both set"
    );
    // An empty variable counts as unset.
    world.variable("AUTHARMOR_CLIENT_SECRET", "");
    assert_eq!(secret(&world), "of-variable");
    world.variables.clear();
    world.config(
        "client_id = \"x\"\nclient_secret_file = \"a\"\nclient_secret_credential = \"credential\"",
    );
    assert_eq!(
        world.refusal(Trust::Caller),
        "client_secret_file and client_secret_credential are both set"
    );
}

#[test]
fn a_missing_setting_is_named_with_its_places() {
    let mut world = World::new();
    world.variable("AUTHARMOR_CLIENT_SECRET", "s3cr3t");
    assert_eq!(
        world.refusal(Trust::Caller),
        "client_id is not set: use --client-id, AUTHARMOR_CLIENT_ID, or client_id in /config.toml"
    );
    assert_eq!(
        world.refusal(Trust::Nobody),
        "client_secret_file is not set: use --client-secret-file, \
         or client_secret_file in /config.toml"
    );
}

#[test]
fn a_variable_that_is_not_utf_8_is_named() {
    for name in [
        "AUTHARMOR_CLIENT_ID",
        "AUTHARMOR_CLIENT_SECRET",
        "AUTHARMOR_API_URL",
    ] {
        let mut world = World::full();
        world.variable(name, autharmor_test_support::not_unicode());
        assert_eq!(world.refusal(Trust::Caller), format!("{name} is not UTF-8"));
    }
}

#[test]
fn a_wrong_file_is_named_with_its_line_and_without_secrets() {
    let world = World::new();
    for (text, expected) in [
        (
            "client_id = \"x\"\nclient_secret = \"s3cr3t\"",
            "/config.toml, line 2: unknown field `client_secret`",
        ),
        ("client_id = \"s3cr3t", "/config.toml, line 1: "),
        (
            "\n\ntimeout = \"soon\"",
            "/config.toml, line 3: invalid type: string \"soon\", expected u64",
        ),
        (
            "[approve]\nnonsense = 1",
            "/config.toml, line 2: unknown field `nonsense`",
        ),
    ] {
        world.config(text);
        let refusal = world.refusal(Trust::Caller);
        assert!(refusal.starts_with(expected), "{refusal}");
        assert!(!refusal.contains("s3cr3t"), "{refusal}");
    }
    for (line, expected) in [
        ("api_version = \"v5\"", "api_version is neither v3 nor v4"),
        ("timeout = 0", "timeout is not 1 to 86400 seconds"),
    ] {
        world.file("secret", "s3cr3t", 0o600);
        world.config(&format!(
            "client_id = \"x\"\nclient_secret_file = \"secret\"\n{line}"
        ));
        assert_eq!(world.refusal(Trust::Caller), expected);
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "files have no mode on this platform")]
fn files_that_others_can_change_or_read_are_refused() {
    let mut world = World::full();
    world.variables.clear();
    world.file("secret", "s3cr3t", 0o644);
    let text = world.refusal(Trust::Caller);
    assert_eq!(text, "/secret: others can read or write it (mode 0644)");
    world.file("secret", "\n", 0o600);
    assert_eq!(world.refusal(Trust::Caller), "/secret: the file is empty");
    world.file("config.toml", "", 0o666);
    assert_eq!(
        world.refusal(Trust::Nobody),
        "/config.toml: others can write it (mode 0666)"
    );
    world.args.config = Some(world.folder.path().join("nowhere"));
    assert!(
        world
            .refusal(Trust::Caller)
            .starts_with("/nowhere: No such file")
    );
}

#[test]
fn debug_output_has_no_secret() {
    let world = World::full();
    for trust in [Trust::Caller, Trust::Nobody] {
        let text = format!("{:?}", world.load(trust).unwrap());
        assert!(text.contains("id\""), "{text}");
        for secret in ["in-the-file", "in-the-environment", "user:pass"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn the_certificates_have_to_be_some() {
    let mut world = World::full();
    world.variables.clear();
    world.args.ca_file = Some(world.file("ca.pem", "not a certificate", 0o644));
    let settings = world.load(Trust::Caller).unwrap();
    let error = settings.client().unwrap_err();
    assert!(matches!(error, Failure::Config(_)), "{error}");
}
