//! The actions `subscribe`, `unsubscribe` and `list`, and the replay of missed messages.

mod replay;
mod subscribe;
