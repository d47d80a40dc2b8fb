//! The local cloud: an emulator of AWS on this machine, and Terraform stacks applied to it.
//!
//! `make dev` is this crate's program; the end-to-end tests use it as a library.
//!
//! | module | holds |
//! |---|---|
//! | [`emulator`] | the emulator's process |
//! | [`packages`] | the functions, built for this machine and zipped |
//! | [`mirror`] | a copy of the Terraform code to work in, so that the checkout stays as it is |
//! | [`stack`] | a stack in the mirror: applied, planned, read, destroyed |
//! | [`page`] | the chat page's server |

pub mod emulator;
pub mod mirror;
pub mod packages;
pub mod page;
pub mod stack;

use std::path::{Path, PathBuf};

/// The checkout that this program was built from.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}
