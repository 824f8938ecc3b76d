//! The rules and routes of a run.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::receivers::{CHANNELS, Receivers, STUCK};

const RULES: &str = r#"groups:
  - name: storm
    rules:
      - { alert: Hot, expr: 'max_over_time(engine_rpm{kind="vehicle"}[10s]) > 6000' }
  - name: states
    rules:
      - alert: Pending
        expr: last_over_time(vehicle_speed_kmh{kind="vehicle", entity_id="s-pending"}[10s]) > 100
        for: 4h
      - alert: Firing
        expr: last_over_time(vehicle_speed_kmh{kind="vehicle", entity_id="s-firing"}[10s]) > 100
      - alert: Keeping
        expr: last_over_time(vehicle_speed_kmh{kind="vehicle", entity_id="s-keeping"}[10s]) > 100
        keep_firing_for: 4h
      - alert: Silenced
        expr: last_over_time(vehicle_speed_kmh{kind="vehicle", entity_id="s-silenced"}[10s]) > 100
      - alert: Stuck
        expr: last_over_time(vehicle_speed_kmh{kind="vehicle", entity_id="s-stuck"}[10s]) > 100
"#;

/// Writes `rules.yml` and `notify.yml`.
pub(crate) fn write(folder: &Path, receivers: &Receivers) -> anyhow::Result<()> {
    let mut notify = "route:\n  receiver: states\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n  \
                      routes:\n"
        .to_owned();
    let mut named = "receivers:\n".to_owned();
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        notify,
        "    - {{ matchers: [alertname=Stuck], receiver: {STUCK} }}"
    );
    for name in CHANNELS {
        let _ = writeln!(
            notify,
            "    - {{ matchers: ['entity_id=~\"{name}-.*\"'], receiver: {name} }}"
        );
    }
    for name in CHANNELS.into_iter().chain([STUCK, "states"]) {
        let url = receivers.url(name);
        let _ = writeln!(
            named,
            "  - {{ name: {name}, webhook_configs: [{{ url: '{url}' }}] }}"
        );
    }
    for (name, text) in [("rules.yml", RULES), ("notify.yml", &(notify + &named))] {
        let path = folder.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}
