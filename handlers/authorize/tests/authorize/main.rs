//! The authorizer: its decisions, and its logs.

mod authorize;
mod issuers;
mod logs;
mod reference;
