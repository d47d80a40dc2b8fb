//! One message to many, in as many invocations as it takes, and who joins and leaves.
//!
//! | file | holds |
//! |---|---|
//! | [`broadcaster`] | a message's way: recorded, read for whom, posted, the rest left to another invocation |
//! | `reader` | whom it goes to, page by page, and where the reading stopped |
//! | [`poster`] | posts through `@connections`, and what became of each: delivered, gone (410), slow, refused |
//! | `limiter` | how many posts are under way at once |
//! | [`report`] | what became of a message, in numbers |
//! | [`continuations`] | what one invocation has no time for, handed over to the next |
//! | [`queue`] | the way into the delivery queue; what lies in it is a [`Task`](crate::protocol::task::Task) |
//! | [`presence`] | joins, told to channels |
//! | [`departure`] | the end of a connection in its channels: rows deleted, leaves told, the gone pruned |
//! | [`error`] | why a message did not reach all that it was for |

pub mod broadcaster;
pub mod continuations;
pub mod departure;
pub mod error;
pub(crate) mod limiter;
pub mod poster;
pub mod presence;
pub mod queue;
mod reader;
pub mod report;
