//! [`Client`]: the front door.
use crate::{Error, Request};
use serde::de::DeserializeOwned;

/// Stub.
#[derive(Debug)]
pub struct Client;

impl Client {
    /// Stub.
    pub fn send<T: DeserializeOwned>(&self, request: &Request<T>) -> Result<T, Error> {
        let _ = request;
        unimplemented!()
    }
}
