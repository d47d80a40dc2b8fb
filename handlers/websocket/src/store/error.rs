//! A table that could not be read or written.

use std::{error::Error as StdError, fmt};

/// A table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on the table {table}")]
pub struct StoreError {
    pub(crate) store: Store,
    pub(crate) operation: &'static str,
    pub(crate) table: String,
    pub(crate) source: Box<dyn StdError + Send + Sync>,
}

/// The purpose of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Registry,
    History,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "connection registry",
            Self::History => "history",
        })
    }
}
