//! Uploads by hand, with the real command against the sandbox: what arrives, what is refused, what is not sent twice.

mod batch;
mod bench;
mod interrupted;
mod service;
mod single;
