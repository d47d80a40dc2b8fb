//! Delivers messages to channels, over as many invocations as needed, and announces joins and leaves.
//!
//! | file | holds |
//! |---|---|
//! | [`broadcaster`] | a broadcast: records it, reads its recipients, posts, leaves the rest to another invocation |
//! | `recording` | records a message before it is delivered, once however often it is asked for |
//! | `reader` | the recipients, page by page, and the cursors where reading stopped |
//! | [`poster`] | posts through `@connections`, and the outcome of each: delivered, gone (410), slow, refused |
//! | [`connections`] | a client of `@connections`, whose posts skip the SDK's orchestration |
//! | `limiter` | the limit on the posts under way at once |
//! | [`report`] | the outcome of a message, in numbers |
//! | [`continuations`] | hands over to the next invocation the work that one has no time for |
//! | [`task_queue`] | puts every [`Task`](crate::protocol::task::Task) into the delivery queue |
//! | [`ranges`] | cuts a large channel into ranges, for several functions at once |
//! | `pace` | the rate of posts of a range |
//! | [`presence`] | announces joins to channels |
//! | [`departure`] | the end of a connection in its channels: deletes rows, announces leaves, prunes gone connections |
//! | [`error`] | the errors of a delivery |

mod announcement;
pub mod broadcaster;
pub mod connections;
pub mod continuations;
pub mod departure;
pub mod error;
pub(crate) mod limiter;
mod pace;
pub mod poster;
pub mod presence;
pub mod ranges;
mod reader;
mod recording;
pub mod report;
pub mod task_queue;
