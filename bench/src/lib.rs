//! The benchmark: numbers that anyone can repeat with `make bench`.
//!
//! | module | holds |
//! |---|---|
//! | [`subject`] | what is measured: the functions, the same in other languages, and the floors below which nothing gets |
//! | [`world`] | what the functions find around them: the connection table and `@connections` |
//! | [`function`] | a function's process: started, invoked, its CPU time and memory read |
//! | [`run`] | the measurements, interleaved and repeated |
//! | [`figure`] | a median and its spread |
//! | [`report`] | the tables of RESULTS.md |
//! | [`plot`] | its picture |
//! | [`simulation`] | large broadcasts on a simulated AWS, whose account has a rate limit |
//! | [`cost`] | connections, messages and fan-out as dollars a month |

pub mod cost;
pub mod figure;
pub mod function;
pub mod plot;
pub mod report;
pub mod run;
pub mod simulation;
pub mod subject;
pub mod world;
