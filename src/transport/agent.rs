//! temporary
use super::*;
use std::time::Duration;
pub(crate) enum Roots {
    Bundled,
    BundledAnd(u8),
    Only(u8),
}
impl Roots {
    pub(crate) fn read(_: &[u8]) -> Result<u8, Error> {
        Ok(0)
    }
}
pub(crate) struct ClientCertificate;
impl ClientCertificate {
    pub(crate) fn read(_: &[u8], _: &[u8]) -> Result<Self, Error> {
        Ok(Self)
    }
}
pub(crate) struct ProxySetting;
impl ProxySetting {
    pub(crate) fn off() -> Self {
        Self
    }
    pub(crate) fn url(_: &str) -> Result<Self, Error> {
        Ok(Self)
    }
    pub(crate) fn from_env(_: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        Ok(Self)
    }
}
pub(crate) struct TransportSettings {
    pub connect_timeout: Duration,
    pub roots: Roots,
    pub client_certificate: Option<ClientCertificate>,
    pub proxy: ProxySetting,
}
pub(crate) struct AgentTransport;
impl AgentTransport {
    pub(crate) fn new(_: TransportSettings) -> Result<Self, Error> {
        Ok(Self)
    }
}
impl Transport for AgentTransport {
    fn send(&self, _: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        Err(TransportError::new(TransportErrorKind::Connect, false))
    }
}
