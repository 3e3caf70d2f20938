//! A client for the tests of flows, over a service that records its requests.

use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Client;
use crate::http::ApiVersion;
use crate::testing::{TestClient, TransportResult, token};

pub(super) const VERSIONS: [ApiVersion; 2] = [ApiVersion::V3, ApiVersion::V4];

pub(super) struct Service {
    pub(super) test: TestClient,
    received: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Service {
    /// `api` gets the route below the version and `prefix`, and the body.
    pub(super) fn new(
        version: ApiVersion,
        prefix: &'static str,
        api: impl Fn(&str, &Value) -> TransportResult + Send + Sync + 'static,
    ) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&received);
        let test = TestClient::with(
            |number, _, _| token(number, 86_400),
            move |_, request, _| {
                let prefix = format!("/{}/{prefix}", version.as_str());
                let route = request.uri().path().strip_prefix(&prefix).unwrap();
                let body = request.body().unwrap_or(b"null");
                let body: Value = serde_json::from_slice(body).unwrap();
                recorded
                    .lock()
                    .unwrap()
                    .push((route.to_owned(), body.clone()));
                api(route, &body)
            },
            |builder| builder.api_version(version),
        );
        Self { test, received }
    }

    pub(super) fn client(&self) -> &Client {
        &self.test.client
    }

    pub(super) fn routes(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|(route, _)| route.clone()).collect()
    }

    /// The only body that this route received.
    #[track_caller]
    pub(super) fn body(&self, route: &str) -> Value {
        let received = self.received.lock().unwrap();
        let mut bodies = received.iter().filter(|(at, _)| at == route);
        let (_, body) = bodies.next().unwrap();
        assert!(bodies.next().is_none(), "{route} is called twice");
        body.clone()
    }
}

/// The same state, stored by one process and read by another.
pub(super) fn restored<T: Serialize + DeserializeOwned>(pending: T) -> T {
    let text = serde_json::to_string(&pending).unwrap();
    drop(pending);
    serde_json::from_str(&text).unwrap()
}
