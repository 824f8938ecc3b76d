//! What `headwater cost` prints.

use super::bill::Bill;
use super::measured::ONE_AGGREGATOR;
use super::plans::compare;
use super::settings::CostConfig;
use super::table::{Table, dollars, thousands};

/// Name of the bill for single posts.
const SINGLE: &str = "Headwater, 1 a post";

/// The bills for a load as text: JSON if the settings say so, else the table and what to know about it.
///
/// # Errors
///
/// JSON that cannot be written.
pub fn report(config: &CostConfig) -> anyhow::Result<String> {
    let mut bills = compare(config).to_vec();
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
    let [single, ..] = compare(&CostConfig {
        batch: 1.0,
        ..config.clone()
    });
    if config.batch > 1.0 {
        let name = SINGLE;
        bills.insert(1, Bill { name, ..single });
    }
    let mut text = format!("{heading}\n\n{}\n", Table(&bills));
    let ours = &bills[0];
    if ours.needs_lanes() {
        text += &needs_lanes(ours);
    }
    text += &why(config, &bills);
    text += "How each figure comes about, and what is left out: docs/cost.md\n";
    Ok(text)
}

/// Why posts of many events cost less.
fn why(config: &CostConfig, bills: &[Bill]) -> String {
    let says = match bills.iter().find(|bill| bill.name == SINGLE) {
        Some(single) => format!(
            "${} a month rather than ${}",
            dollars(bills[0].total),
            dollars(single.total)
        ),
        None => "try `--batch 500`".to_owned(),
    };
    let linger = humantime::format_duration(config.linger);
    format!(
        "Collect events and post many at a time: {says}.\n\
         SQS bills each 64 KiB of a message as one request. A post of many events fills messages; single posts share one\n\
         only if they arrive within LINGER ({linger}).\n\n"
    )
}

fn needs_lanes(ours: &Bill) -> String {
    format!(
        "Needs lanes: one aggregator keeps up with some {} events/s. This load needs {} of them, each with a queue of \
         its own,\nwhich is not built (adr/0021): its bills are for what does not exist yet.\n\n",
        thousands(ONE_AGGREGATOR),
        ours.lanes
    )
}

#[cfg(test)]
mod tests {
    use super::super::settings::config;
    use super::*;

    #[test]
    fn the_default_shows_what_a_bulk_sender_pays_beside_a_sender_of_single_events() {
        let text = report(&config(&[])).unwrap();
        let [single, ..] = compare(&config(&["--batch", "1"]));
        let [bulk, plain, ..] = compare(&config(&["--batch", "500"]));
        assert!(bulk.total < 0.6 * single.total.min(plain.total), "{text}");
        let said = format!(
            "${:.2} a month rather than ${:.2}",
            bulk.total, single.total
        );
        assert!(text.contains(&said), "{text}");
        let heads = text.lines().find(|line| line.starts_with("| $ a month"));
        let heads: Vec<&str> = heads.unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            heads[2..5],
            ["Headwater", "Headwater, 1 a post", "plain plan"]
        );
        assert!(!text.contains("lanes"), "{text}");
        let alone = report(&config(&["--batch", "1"])).unwrap();
        assert!(
            !alone.contains("rather") && alone.contains("--batch 500"),
            "{alone}"
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
