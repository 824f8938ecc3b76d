//! The way into SQS: lines of concurrent requests come in, are grouped, packed and sent, and each request hears of
//! the send that carried its lines. A line is in exactly one send, and no request is told of success before SQS has
//! answered.
//!
//! `group_commit` is what requests call, `group_task` collects groups, `grouping` decides when a group goes, by what
//! `arrivals` knows of requests on their way; `group` is the lines of one send; `pack_sender` packs and sends them.

pub(crate) mod arrivals;
pub(crate) mod group;
pub(crate) mod group_commit;
pub(crate) mod group_task;
pub(crate) mod grouping;
pub(crate) mod pack_sender;
pub(crate) mod plain;
#[cfg(test)]
pub(crate) mod testing;
