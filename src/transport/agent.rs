//! The transport over ureq and rustls: the only file that names either.
