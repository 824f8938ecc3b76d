//! Values that the reference, `vaderSentiment` 3.3.2, gave.

use sentiment::compound;

const SENTENCES: [(&str, f64); 34] = [
    ("gg ez", 0.5719),
    ("PogChamp what a clutch play!!!", 0.5067),
    ("KEKW", 0.0),
    ("this run is not bad at all", 0.431),
    ("I LOVE this stream so much <3", 0.8447),
    ("no worries, that boss was brutal", -0.4153),
    ("never seen such an AMAZING save!", 0.8412),
    ("that was the bomb", 0.6124),
    ("kiss of death right there, rip", -0.2732),
    ("least boring game this year", 0.2411),
    ("beating heart of the city", 0.296),
    ("good morning 😁 team", 0.7096),
    ("💓", 0.296),
    ("🔥🔥 nice", -0.25),
    ("sort of scared but mostly happy, hyped and calm :D", 0.9274),
    ("without doubt the BEST speedrun", 0.7931),
    ("GOOD GAME", 0.4404),
    ("ok", 0.296),
    ("?!?!", 0.0),
    ("héros EXCELLENT, naïve mais FUN", 0.8579),
    ("never so happy", 0.6948),
    ("isn't terrible, isn't great", 0.643),
    ("hate hate hate but love love", 0.8201),
    ("no good or bad", 0.1139),
    ("Don't stop! It's uber awesome, right?", 0.7631),
    ("bus stop", -0.296),
    ("yeah right, so very good", 0.688),
    ("at least it is fun", 0.5106),
    ("very least fun", 0.5542),
    (":p", 0.25),
    (":D", 0.5106),
    ("\u{1c}great\u{1f}stuff", 0.6249),
    ("İstanbul was GREAT", 0.7034),
    ("ΣΑΣ good", 0.4404),
];

#[test]
fn sentences_of_chats_have_the_values_of_the_reference() {
    for (text, expected) in SENTENCES {
        assert_eq!(compound(text), expected, "{text}");
    }
}

#[test]
fn every_sentence_of_the_oracle_has_the_value_of_the_reference() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no settings of its own"
    )]
    let Ok(path) = std::env::var("VADER_ORACLE") else {
        eprintln!("skipped: VADER_ORACLE names no file of sentences with the reference's values");
        return;
    };
    let text = std::fs::read_to_string(&path).expect("VADER_ORACLE names a file");
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let text = line["text"].as_str().expect("a line has a text");
            let expected = line["compound"].as_f64().expect("a line has a value");
            let found = compound(text);
            (found != expected).then(|| format!("{found}, not {expected}: {text}"))
        })
        .collect();
    assert!(lines.len() > 1_000, "{} sentences", lines.len());
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}
