//! Turns a body in another sender's protocol into lines.

use std::collections::HashSet;

use chrono::NaiveTime;
use contract::{Kind, METRIC_INFO, Receipt, Rejection};
use metrics::counter;
use protocols::{Form, Info, Mapping, Read, Sent, Stop};

use crate::http::refusal::Refusal;
use crate::intake::{BodyReader, Intake, OTHER_ENTITY};
use crate::memory::budget::Buffer;

/// Values that no event holds: `NaN`, infinities, and texts where only numbers are taken.
const LEFT_OUT: &str = "headwater_ingest_left_out_total";

/// Most bytes of lines that a body has of what it says of metrics. What is more comes with its next ones.
const MAX_INFO_BYTES: usize = 1024 * 1024;

impl BodyReader<'_> {
    /// Reads the body's points into `intake`. What became of each is told beside it, for the answer.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the body is not of the form, has too many events, or a budget is exhausted. Points that break a
    /// contract are no error here.
    pub(crate) fn read_points(
        self,
        body: Buffer,
        form: Form,
        mapping: &Mapping,
        mut intake: Intake,
    ) -> Result<(Intake, Read), Refusal> {
        let received_at = contract::format_millis(self.now);
        let receipt = Receipt {
            at: &received_at,
            sender: self.key.sender(),
        };
        let (mut line, mut id) = (Vec::new(), String::new());
        let (infos_of, mut info_bytes) = (self.infos_of(), 0);
        let mut take = |sent: Sent<'_>| {
            let sent = match sent {
                Sent::Event(sent) => sent,
                Sent::Info(info) => {
                    if let Some(kind) = infos_of
                        && info_bytes < MAX_INFO_BYTES
                        && self.key.scope().allows_entity(info.name())
                        && let Some(hash) = self.untold(&info, &intake.infos)
                        && self.write_info(&mut line, &info, kind, receipt).is_some()
                        // A body is not refused for it.
                        && intake.lines.append(&line).is_ok()
                    {
                        info_bytes += line.len();
                        intake.infos.insert(hash);
                    }
                    return Ok(Ok(()));
                }
            };
            if intake.read_count() == self.max_events {
                let limit = self.max_events;
                return Err(Refusal::TooManyEvents { limit });
            }
            let read = contract::parse_sent(self.kinds, Some(sent.kind), sent.text, self.now);
            let event = match read.and_then(|event| self.may_be_sent(event)) {
                Ok(event) => event,
                Err(rejection) => {
                    *intake.reasons.entry(rejection.code).or_default() += 1;
                    return Ok(Err(rejection.message));
                }
            };
            line.clear();
            if sent.kind.is_long() && !sent.has_time {
                self.ids.give(&mut id);
                contract::write_line_as(&mut line, &event, &id, receipt, sent.text);
            } else {
                // What it says makes its id: a series has one value at a time.
                contract::write_line(&mut line, &event, receipt, sent.text);
            }
            intake.lines.append(&line)?;
            intake.events += 1;
            Ok(Ok(()))
        };
        let read = form.read(&body, self.kinds, mapping, &mut take);
        let read = read.map_err(|stop| match stop {
            Stop::Malformed(malformed) => Refusal::Malformed(malformed),
            Stop::Taker(refusal) => refusal,
        })?;
        if read.report.left_out > 0 {
            counter!(LEFT_OUT).increment(read.report.left_out);
        }
        drop(body);
        intake.lines.shrink_to_fit();
        Ok((intake, read))
    }

    /// The kind of what is said of metrics; `None` if the key may not send it, or its client events of its own entity
    /// alone, which a metric is not.
    fn infos_of(&self) -> Option<&Kind> {
        let kind = self.kinds.get(METRIC_INFO)?;
        let is_taken = self.names.is_none() && self.key.scope().allows_kind(&kind.name);
        is_taken.then_some(kind)
    }

    /// The hash of the info, unless the queue has it or this body told it.
    fn untold(&self, info: &Info<'_>, of_body: &HashSet<u64>) -> Option<u64> {
        let hash = self.told.hash(info);
        let is_known = self.told.has(self.now.date_naive(), hash) || of_body.contains(&hash);
        (!is_known).then_some(hash)
    }

    /// Writes the info's line, unless it breaks its contract. It is of the day's first instant, so that its id, which
    /// its content makes, is the same all day.
    fn write_info(
        &self,
        line: &mut Vec<u8>,
        info: &Info<'_>,
        kind: &Kind,
        receipt: Receipt<'_>,
    ) -> Option<()> {
        let day = self.now.date_naive().and_time(NaiveTime::MIN).and_utc();
        let text = info.text(kind, day)?;
        let event = contract::parse_sent(self.kinds, Some(kind), &text, self.now).ok()?;
        line.clear();
        contract::write_line(line, &event, receipt, &text);
        Some(())
    }

    /// The event, if its client and its key may send it.
    fn may_be_sent<'e>(
        &self,
        event: contract::Event<'e>,
    ) -> Result<contract::Event<'e>, Rejection> {
        if let Some(rejection) = self.not_certified(&event) {
            counter!(OTHER_ENTITY).increment(1);
            return Err(rejection);
        }
        self.permit(event)
    }
}
