//! What TLS costs ingest, on connections that stay open.

use anyhow::Context;
use stand::Authority;

use super::ingest::fresh;
use crate::bench::Bench;
use crate::load::{Amount, OfferedLoad};
use crate::row::{Bar, Row};

/// `tls`: two rows.
pub(super) async fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let folder = bench.fresh_folder()?;
    let authority = Authority::new("bench")?;
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.pem()).context("cannot write the CA")?;
    let files = authority
        .issue("ingest", &["127.0.0.1"])?
        .write(&folder, "server")?;
    let [cert, key] = files.map(|path| path.display().to_string());
    let settings = [("TLS_CERT", cert.as_str()), ("TLS_KEY", key.as_str())];
    let mut rows = Vec::new();
    for (name, unit, events, plain, most) in [
        (
            "bulk",
            "CPU s per million",
            1_000_000,
            OfferedLoad::bulk(Amount::Corpus),
            1.15,
        ),
        (
            "single",
            "CPU µs a request",
            200_000,
            OfferedLoad::single(64, Amount::Corpus),
            1.3,
        ),
    ] {
        let corpus = bench.corpus(bench.scaled(events)).await?;
        let secured = OfferedLoad {
            ca: Some(ca.clone()),
            ..plain.clone()
        };
        let (mut with, mut without, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
        for run in 1..=bench.runs() {
            bench.say(format!("tls, {name}, run {run}"));
            let in_clear = fresh(bench, &corpus, &plain, &[]).await?;
            without.push(in_clear.footprint.per_million());
            let measured = fresh(bench, &corpus, &secured, &settings).await?;
            with.push(measured.footprint.per_million());
            peaks.push(measured.footprint.peak_mib);
        }
        rows.push(
            Row::of(format!("tls: {name}"), unit, &with)
                .against(&with, &without)
                .ratio_bar(Bar::AtMost, most)
                .with("peak_mib", peaks.iter().copied().fold(0.0, f64::max)),
        );
    }
    Ok(rows)
}
