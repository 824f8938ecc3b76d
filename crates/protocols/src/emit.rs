//! From points to events, one at a time, each to whoever takes events.

use contract::Kind;

use crate::info::Info;
use crate::point::{Point, Report};
use crate::protobuf::Malformed;
use crate::write::Writer;

/// Most bytes of the name and the labels of a point, as much as the labels of a `metric`.
const MAX_SERIES_BYTES: usize = 8 * 1024;

/// What a body tells.
#[derive(Debug, Clone, Copy)]
pub enum Sent<'a> {
    /// An event of a point.
    Event(SentEvent<'a>),
    /// What a metric is. It comes with every body that says so, and is no point: whether it is taken changes no answer.
    Info(Info<'a>),
}

/// An event that a point became, or one of several.
#[derive(Debug, Clone, Copy)]
pub struct SentEvent<'a> {
    /// Its kind.
    pub kind: &'a Kind,
    /// The event in JSON, as a client would send it.
    pub text: &'a str,
    /// Whether the event says its time. One that does not is a new one each time it is sent.
    pub has_time: bool,
}

/// Why reading a body ended before its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop<E> {
    /// The body is not what it is said to be.
    Malformed(Malformed),
    /// Whoever takes the events takes no more.
    Taker(E),
}

impl<E> From<Malformed> for Stop<E> {
    fn from(malformed: Malformed) -> Stop<E> {
        Stop::Malformed(malformed)
    }
}

/// Takes what is told. `Ok(Err)` refuses this one, and says why; `Err` ends the body.
pub type Take<'t, E> = dyn FnMut(Sent<'_>) -> Result<Result<(), String>, E> + 't;

/// Makes events of points, and counts what becomes of them.
pub(crate) struct Emit<'w, 't, E> {
    writer: &'w mut Writer<'w>,
    take: &'t mut Take<'t, E>,
    report: Report,
    /// Why the first refused event of the point was.
    refused: Option<String>,
    /// Where the point stands, if not behind the one before.
    place: Option<u64>,
}

impl<'w, 't, E> Emit<'w, 't, E> {
    pub(crate) fn new(writer: &'w mut Writer<'w>, take: &'t mut Take<'t, E>) -> Self {
        Emit {
            writer,
            take,
            report: Report::default(),
            refused: None,
            place: None,
        }
    }

    /// Where the next points stand.
    pub(crate) fn at(&mut self, place: u64) {
        self.place = Some(place);
    }

    /// Takes a point. Says whether all of it was taken.
    pub(crate) fn point(&mut self, point: &Point<'_>) -> Result<bool, Stop<E>> {
        self.whole(|emit| emit.part(point))
    }

    /// Takes a point that is told in parts.
    pub(crate) fn whole(
        &mut self,
        parts: impl FnOnce(&mut Self) -> Result<(), Stop<E>>,
    ) -> Result<bool, Stop<E>> {
        parts(self)?;
        let place = self.place.unwrap_or(self.report.points);
        self.report.points += 1;
        match self.refused.take() {
            None => Ok(true),
            Some(reason) => {
                self.report.refuse(place, reason);
                Ok(false)
            }
        }
    }

    /// Takes a part of a point.
    pub(crate) fn part(&mut self, part: &Point<'_>) -> Result<(), Stop<E>> {
        // Each of many buckets repeats them, and each event would be refused.
        let bytes = part
            .labels
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let bytes = part.name.len() + bytes.sum::<usize>();
        if bytes > MAX_SERIES_BYTES {
            self.refused.get_or_insert_with(|| {
                format!("name and labels have {bytes} bytes: at most {MAX_SERIES_BYTES} are taken")
            });
            return Ok(());
        }
        let (take, refused) = (&mut self.take, &mut self.refused);
        let left_out = self.writer.write(part, |event| {
            if let Err(reason) = take(Sent::Event(event))? {
                refused.get_or_insert(reason);
            }
            Ok(())
        });
        self.report.left_out += left_out.map_err(Stop::Taker)?;
        Ok(())
    }

    /// Takes what is said of the metric that is sent under the name of `info`.
    pub(crate) fn info(&mut self, info: Info<'_>) -> Result<(), Stop<E>> {
        let (Some(info), Some(name)) = (info.fitted(), self.writer.metric(info.name)) else {
            return Ok(());
        };
        let info = Info {
            name: &name,
            ..info
        };
        let _refused = (self.take)(Sent::Info(info)).map_err(Stop::Taker)?;
        Ok(())
    }

    /// Counts a point that could not be read.
    pub(crate) fn unreadable(&mut self, reason: String) {
        let place = self.place.unwrap_or(self.report.points);
        self.report.points += 1;
        self.report.refuse(place, reason);
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }
}
