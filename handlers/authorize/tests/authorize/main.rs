//! The authorizer: its decisions, and its logs.

mod authorize;
mod logs;
