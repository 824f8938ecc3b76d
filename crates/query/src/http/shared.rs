//! What the handlers share.

use std::time::Duration;

use contract::{Hour, Kind};
use lake::key::curated_hour_of;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::names::StoredNames;
use crate::http::parameters::duration;
use crate::http::refusal::Refusal;
use crate::http::settings::QuerySettings;
use engine::kernels::Scanner;
use engine::snapshot::Snapshot;

/// What reads the lake for requests, and what bounds them.
pub(crate) struct Shared {
    pub(crate) app: App,
    pub(crate) names: StoredNames,
    pub(crate) settings: QuerySettings,
}

impl Shared {
    pub(crate) fn new(app: App, settings: QuerySettings) -> Shared {
        Shared {
            names: StoredNames::new(app.engine.clone()),
            app,
            settings,
        }
    }

    /// Answers by the newest snapshot when it is the request's turn; where a part turns out to be gone, once more
    /// after its hour is listed again. `timeout` is what the request says of its time.
    pub(crate) async fn answer<T, F>(
        &self,
        timeout: Option<&str>,
        ask: impl Fn(Snapshot) -> F,
    ) -> Result<Answer<T>, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let wanted = timeout.filter(|text| !text.is_empty());
        let wanted = wanted.map(|text| duration("timeout", text)).transpose()?;
        let limit = self.settings.query_timeout;
        let limit = wanted.map_or(limit, |wanted: Duration| wanted.min(limit));
        let answered = self.app.engine.turns.run(limit, async {
            let snapshot = self.snapshot()?;
            match ask(snapshot.clone()).await {
                Err(Refusal::PartGone(part)) => {
                    if let Some((kind, hour)) = curated_hour_of(&part.key) {
                        snapshot.forget(kind, hour);
                    }
                    let snapshot = self.snapshot()?;
                    Ok(Answer::new(ask(snapshot.clone()).await?, &snapshot))
                }
                answer => Ok(Answer::new(answer?, &snapshot)),
            }
        });
        answered.await
    }

    pub(crate) fn scanner(&self) -> &Scanner {
        &self.app.engine.scanner
    }

    fn snapshot(&self) -> Result<Snapshot, Refusal> {
        self.app.snapshot().ok_or(Refusal::Starting)
    }
}

/// The kind of that name or alias.
pub(crate) fn kind<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Kind, Refusal> {
    let kinds = snapshot.kinds();
    kinds
        .get_by_alias(name)
        .ok_or_else(|| Refusal::UnknownKind {
            name: name.to_owned(),
            nearest: format!("the kinds are {}", kinds.names()),
        })
}

/// The hours from the last to the first of `span`.
pub(crate) fn newest_first(span: (Hour, Hour)) -> impl Iterator<Item = Hour> {
    let mut hour = Some(span.1);
    std::iter::from_fn(move || {
        let this = hour.filter(|hour| *hour >= span.0)?;
        hour = Some(Hour::of(this.start() - chrono::TimeDelta::hours(1)));
        Some(this)
    })
}
