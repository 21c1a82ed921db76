//! cli

pub mod init;
