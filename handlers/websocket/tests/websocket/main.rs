//! The library: against a DynamoDB engine, a fake of `@connections`, and events as AWS sends them.

mod announcement;
mod architecture;
mod broadcast;
mod event;
mod history;
mod hostile;
mod poster;
mod registry;
mod simulation;
mod timing;
