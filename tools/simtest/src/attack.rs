//! Every attack by name, so that a campaign can tell which attacks never took place.

use std::fmt;

use local_aws::FaultKind;

use crate::alerts::refusal::Refusal;
use crate::stage::Stage;

/// The AWS operations that the pipeline calls in a run.
pub const OPERATIONS: [&str; 8] = [
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
    "PutObject",
    "GetObject",
    "HeadObject",
    "ListObjectsV2",
];

/// Faults that any operation can meet.
pub const GENERAL_FAULTS: [FaultKind; 5] = [
    FaultKind::InternalError,
    FaultKind::ServiceUnavailable,
    FaultKind::Throttled,
    FaultKind::CutBefore,
    FaultKind::CutAfter,
];

/// Operations whose entries can fail one by one.
pub const BATCHES: [&str; 3] = [
    "SendMessageBatch",
    "DeleteMessageBatch",
    "ChangeMessageVisibilityBatch",
];

/// Oddities of events.
pub const ODDITIES: [Attack; 6] = [
    Attack::LateEvent,
    Attack::ReorderedEvent,
    Attack::RepeatedEvent,
    Attack::ConflictingId,
    Attack::ChangedType,
    Attack::BrokenEvent,
];

/// Troubles between a client and ingest.
pub const TROUBLES: [Attack; 5] = [
    Attack::PostLost,
    Attack::AnswerLost,
    Attack::ClientLeft,
    Attack::HalfSent,
    Attack::ByteByByte,
];

/// Messages in the queue that ingest did not make.
pub const STRANGE_MESSAGES: [Attack; 3] = [
    Attack::UndecodableMessage,
    Attack::PoisonedMessage,
    Attack::PlainMessage,
];

/// A part of the pipeline that is attacked as a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes events over HTTP.
    Ingest,
    /// Moves messages to `raw/`.
    Consumer,
    /// Moves `raw/` to `curated/` and `aggregates/`.
    Aggregator,
    /// Sends dead letters back to the queue.
    Replay,
    /// Follows the new events of `raw/`.
    Tail,
    /// Answers queries from snapshots of the lake.
    Query,
    /// Looks at rules, and notifies; in runs of its own.
    Alerts,
    /// Reads the lake, and is never struck.
    Reader,
}

impl Role {
    /// The roles of the pipeline that are struck, which is all but the reader.
    pub const ALL: [Role; 6] = [
        Role::Ingest,
        Role::Consumer,
        Role::Aggregator,
        Role::Replay,
        Role::Tail,
        Role::Query,
    ];

    /// Name in traces and in the names of attacks, such as `consumer`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Ingest => "ingest",
            Role::Consumer => "consumer",
            Role::Aggregator => "aggregator",
            Role::Replay => "replay",
            Role::Tail => "tail",
            Role::Query => "query",
            Role::Alerts => "alerts",
            Role::Reader => "reader",
        }
    }
}

/// When a process is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// At some time, whatever the process is doing.
    AnyTime,
    /// At a request, before the request leaves the process.
    BeforeRequest,
    /// When a request has taken effect, before the process sees the answer.
    AfterEffect,
}

impl Moment {
    /// Every moment.
    pub const ALL: [Moment; 3] = [Moment::AnyTime, Moment::BeforeRequest, Moment::AfterEffect];

    fn name(self) -> &'static str {
        match self {
            Moment::AnyTime => "any_time",
            Moment::BeforeRequest => "before_request",
            Moment::AfterEffect => "after_effect",
        }
    }
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// A request of this operation meets this fault of the emulated AWS.
    Cloud(FaultKind, &'static str),
    /// A request arrives late.
    SlowRequest,
    /// An answer arrives late.
    SlowAnswer,
    /// A request takes effect after its sender has given up on it.
    LateEffect,
    /// A message is delivered again: its visibility timeout ended, or it was given back.
    Redelivery,
    /// A process is killed, and another starts in its place with nothing but SQS and S3.
    Kill(Role, Moment),
    /// A process does nothing for up to 5 minutes, then goes on.
    Freeze(Role, Moment),
    /// A process is told to stop, and started again.
    Stop(Role),
    /// The aggregator is killed at this stage of a commit.
    TakeOver(Stage),
    /// The aggregator has so little memory that events wait on disk.
    LittleMemory,
    /// A commit meets more hours than it may write, and writes the lines of some to `raw/`.
    PutOff,
    /// The consumer is of a release whose names of parts tell no time.
    OldNames,
    /// A part lands minutes to days after the time in its name.
    LatePart,
    /// The clock of a process is wrong by seconds.
    ClockApart,
    /// A client's post does not arrive.
    PostLost,
    /// A client's post is handled and the answer does not arrive.
    AnswerLost,
    /// A client hangs up while its post is handled.
    ClientLeft,
    /// A client sends half of its post's body and drops the connection.
    HalfSent,
    /// A client sends its post's body one byte at a time.
    ByteByByte,
    /// An event is an hour or more late.
    LateEvent,
    /// An event is older than one that its vehicle sent before it.
    ReorderedEvent,
    /// An event is sent again, in another post.
    RepeatedEvent,
    /// An event has the id of another event and other content.
    ConflictingId,
    /// A signal has another type than before.
    ChangedType,
    /// An event breaks its contract: ingest must refuse it.
    BrokenEvent,
    /// Events of a kind have more undeclared signals than it may have columns.
    NewNames,
    /// A message that nobody can read stands in the queue.
    UndecodableMessage,
    /// A message in the queue holds a broken event beside sound ones.
    PoisonedMessage,
    /// A sound event stands in the queue as plain JSON, as senders other than ingest put it.
    PlainMessage,
    /// A reader checks the lake during the run.
    Look,
    /// A query reads all events of a snapshot.
    Query,
    /// All hours are rebuilt while the aggregators go on.
    Rebuild,
    /// A vehicle is forgotten while everything else goes on.
    Forget,
    /// A receiver of notifications does this instead of taking a message.
    Receiver(Refusal),
    /// Another process of `alerts` leads, or the next one in the place of one that died.
    AnotherLeads,
    /// The clock of a device is minutes ahead.
    FastClock,
    /// No consumer works for minutes, and events wait in the queue.
    Outage,
}

impl Attack {
    /// Every attack of the pipeline: each should take place in a campaign of many seeds.
    pub fn all() -> Vec<Attack> {
        let mut all = Vec::new();
        for kind in GENERAL_FAULTS {
            all.extend(OPERATIONS.map(|operation| Attack::Cloud(kind, operation)));
        }
        all.extend(BATCHES.map(|operation| Attack::Cloud(FaultKind::EntryFailure, operation)));
        all.push(Attack::Cloud(
            FaultKind::DuplicateDelivery,
            "ReceiveMessage",
        ));
        all.push(Attack::Cloud(FaultKind::Conflict, "PutObject"));
        for role in Role::ALL {
            for moment in Moment::ALL {
                all.push(Attack::Kill(role, moment));
                all.push(Attack::Freeze(role, moment));
            }
        }
        all.extend([
            Attack::Stop(Role::Ingest),
            Attack::Stop(Role::Consumer),
            Attack::Stop(Role::Aggregator),
            Attack::Stop(Role::Replay),
            Attack::Stop(Role::Tail),
            Attack::Stop(Role::Query),
            Attack::LittleMemory,
            Attack::PutOff,
            Attack::NewNames,
            Attack::OldNames,
            Attack::LatePart,
            Attack::SlowRequest,
            Attack::SlowAnswer,
            Attack::LateEffect,
            Attack::Redelivery,
            Attack::ClockApart,
        ]);
        all.extend(Stage::ALL.map(Attack::TakeOver));
        all.extend(TROUBLES);
        all.extend(ODDITIES);
        all.extend(STRANGE_MESSAGES);
        all.extend([Attack::Look, Attack::Query, Attack::Rebuild, Attack::Forget]);
        all
    }
}

impl fmt::Display for Attack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Attack::Cloud(kind, operation) => return write!(out, "{}:{operation}", kind.name()),
            Attack::Kill(role, moment) => {
                return write!(out, "kill:{}:{}", role.name(), moment.name());
            }
            Attack::Freeze(role, moment) => {
                return write!(out, "freeze:{}:{}", role.name(), moment.name());
            }
            Attack::Stop(role) => return write!(out, "stop:{}", role.name()),
            Attack::TakeOver(stage) => return write!(out, "take_over:{}", stage.name()),
            Attack::Receiver(refusal) => return write!(out, "receiver:{refusal}"),
            Attack::AnotherLeads => "another_leads",
            Attack::FastClock => "fast_clock",
            Attack::Outage => "outage",
            Attack::LittleMemory => "little_memory",
            Attack::PutOff => "put_off",
            Attack::OldNames => "old_names",
            Attack::LatePart => "late_part",
            Attack::SlowRequest => "slow_request",
            Attack::SlowAnswer => "slow_answer",
            Attack::LateEffect => "late_effect",
            Attack::Redelivery => "redelivery",
            Attack::ClockApart => "clock_apart",
            Attack::PostLost => "post_lost",
            Attack::AnswerLost => "answer_lost",
            Attack::ClientLeft => "client_left",
            Attack::HalfSent => "half_sent",
            Attack::ByteByByte => "byte_by_byte",
            Attack::LateEvent => "late_event",
            Attack::ReorderedEvent => "reordered_event",
            Attack::RepeatedEvent => "repeated_event",
            Attack::ConflictingId => "conflicting_id",
            Attack::ChangedType => "changed_type",
            Attack::BrokenEvent => "broken_event",
            Attack::NewNames => "new_names",
            Attack::UndecodableMessage => "undecodable_message",
            Attack::PoisonedMessage => "poisoned_message",
            Attack::PlainMessage => "plain_message",
            Attack::Look => "look",
            Attack::Query => "query",
            Attack::Rebuild => "rebuild",
            Attack::Forget => "forget",
        };
        out.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_attack_has_a_name_of_its_own() {
        let all = Attack::all();
        let names: BTreeSet<String> = all.iter().map(Attack::to_string).collect();
        assert_eq!(names.len(), all.len());
        assert!(names.contains("cut_after:PutObject"));
        assert!(names.contains("kill:aggregator:after_effect"));
    }

    #[test]
    fn a_request_of_the_aggregator_shows_its_stage() {
        let (before, after) = (Moment::BeforeRequest, Moment::AfterEffect);
        for (request, moment, stage) in [
            (
                "PUT lake/_commits/0000000001.json if-none-match",
                after,
                Some(Stage::Intent),
            ),
            (
                "PUT lake/_commits/0000000001.json if-none-match",
                before,
                None,
            ),
            ("GET lake/raw/year=2025/x.jsonl", before, Some(Stage::Spill)),
            (
                "PUT lake/_commits/0000000001.plan.json if-none-match",
                after,
                Some(Stage::Plan),
            ),
            (
                "PUT lake/aggregates/year=2025/cell.jsonl if-match",
                after,
                Some(Stage::Hours),
            ),
            (
                "PUT lake/_commits/0000000001.done.json",
                before,
                Some(Stage::Done),
            ),
            ("PUT lake/_commits/checkpoint.json if-match", after, None),
            ("GET lake list-type=2 raw/", before, None),
            ("ReceiveMessage", after, None),
        ] {
            assert_eq!(Stage::of(request, moment), stage, "{request}");
        }
    }

    #[test]
    fn only_what_a_commit_writes_once_is_aimed_at() {
        for (request, once) in [
            (
                "PUT lake/_commits/0000000001.json if-none-match",
                Some((Stage::Intent, Moment::AfterEffect)),
            ),
            (
                "PUT lake/_commits/0000000001.plan.json if-none-match",
                Some((Stage::Plan, Moment::AfterEffect)),
            ),
            (
                "PUT lake/_commits/0000000001.done.json",
                Some((Stage::Done, Moment::BeforeRequest)),
            ),
            ("GET lake/raw/year=2025/x.jsonl", None),
            ("PUT lake/aggregates/year=2025/cell.jsonl if-match", None),
        ] {
            assert_eq!(Stage::once(request), once, "{request}");
        }
    }
}
