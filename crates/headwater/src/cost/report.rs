//! What `headwater cost` prints.

use super::bill::Bill;
use super::measured::ONE_AGGREGATOR;
use super::plans::compare;
use super::settings::CostConfig;
use super::table::{Table, dollars, thousands};

/// Events of a post that a client sends which collects them.
const BULK: f64 = 500.0;

/// The bills for a load as text: JSON if the settings say so, else the table and what to know about it.
///
/// # Errors
///
/// JSON that cannot be written.
pub fn report(config: &CostConfig) -> anyhow::Result<String> {
    let bills = compare(config);
    if config.json {
        return Ok(serde_json::to_string_pretty(&bills)? + "\n");
    }
    let heading = format!(
        "{} events/s of {} bytes, {} a post; curated/ kept {} days, raw/ {}; us-east-1 list prices of {}",
        config.rate,
        config.bytes,
        config.batch,
        config.retention_days(),
        config.raw_retention_days(),
        aws::PRICES_AS_OF
    );
    let mut text = format!("{heading}\n\n{}\n", Table(&bills));
    let ours = &bills[0];
    if ours.needs_lanes() {
        text += &needs_lanes(ours);
    }
    if config.batch < BULK {
        text += &bulk(config, ours);
    }
    text += "How each figure comes about, and what is left out: docs/cost.md\n";
    Ok(text)
}

fn needs_lanes(ours: &Bill) -> String {
    format!(
        "Needs lanes: one aggregator keeps up with some {} events/s. This load needs {} of them, each with a queue of \
         its own,\nwhich is not built (adr/0021): its bills are for what does not exist yet.\n\n",
        thousands(ONE_AGGREGATOR),
        ours.lanes
    )
}

/// What a client pays that collects its events.
fn bulk(config: &CostConfig, ours: &Bill) -> String {
    let config = CostConfig {
        batch: BULK,
        ..config.clone()
    };
    let [bulk, ..] = compare(&config);
    format!(
        "Headwater with {BULK} events a post: ${} a month rather than ${}. SQS bills each 64 KiB of a message as \
         one request,\nand posts of many events fill messages; single posts share one only if they arrive within LINGER.\n\n",
        dollars(bulk.total),
        dollars(ours.total)
    )
}

#[cfg(test)]
mod tests {
    use super::super::settings::config;
    use super::*;

    #[test]
    fn the_default_says_what_a_bulk_sender_pays() {
        let text = report(&config(&[])).unwrap();
        let [single, ..] = compare(&config(&[]));
        let [bulk, ..] = compare(&config(&["--batch", "500"]));
        let said = format!(
            "${:.2} a month rather than ${:.2}",
            bulk.total, single.total
        );
        assert!(text.contains(&said), "{text}");
        assert!(!text.contains("lanes"), "{text}");
        assert!(
            !report(&config(&["--batch", "500"]))
                .unwrap()
                .contains("rather")
        );
    }

    #[test]
    fn the_page_on_scaling_names_the_same_load_of_one_aggregator() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
        let said = format!("| some {} a second |", thousands(ONE_AGGREGATOR));
        assert!(
            std::fs::read_to_string(page).unwrap().contains(&said),
            "docs/operations.md should hold {said}"
        );
    }

    #[test]
    fn no_price_past_one_aggregator_is_without_its_mark() {
        let arguments = ["--rate", "50000"];
        let text = report(&config(&arguments)).unwrap();
        for said in [
            "Headwater (needs lanes)",
            "| lanes, not built",
            "This load needs 3 of them",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        let json = report(&config(&[&arguments[..], &["--json"]].concat())).unwrap();
        assert!(json.contains("\"lanes\": 3"), "{json}");
    }
}
