//! A stateful stand-in for the service.
