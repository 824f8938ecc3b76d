//! Turns a body in another sender's protocol into lines.

use contract::{Receipt, Rejection};
use metrics::counter;
use protocols::{Form, Mapping, Read, SentEvent, Stop};

use crate::http::refusal::Refusal;
use crate::intake::{BodyReader, Intake, OTHER_ENTITY};
use crate::memory::budget::Buffer;

/// Values that no event holds: `NaN`, infinities, and texts where only numbers are taken.
const LEFT_OUT: &str = "headwater_ingest_left_out_total";

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
        let mut take = |sent: SentEvent<'_>| {
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
