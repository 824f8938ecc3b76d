//! Files of keys that nearly make sense.

use fuzz::Corpus;

use super::KeysFile;

/// What is wrong is told, with its place.
#[test]
fn fuzz_keys_file() {
    let hash = "0123456789abcdef".repeat(4);
    let file = format!(
        "scram_salt = \"AAAAAAAAAAAAAAAAAAAAAA==\"\n# of the north\n[[key]]\nname = \"fleet-north\"\nhash = \"sha256:{hash}\"\nmay = [\"write\"]\nwrite_kinds = [\"vehicle\"]\nwrite_entities = [\"veh-*\"]\nrequests_per_second = 10\nevents_per_second = 500.5\nevents_burst = 1000\nbytes_per_day = 1000000\nexpires = 2027-06-30T00:00:00Z\n\n[[key]]\nname = \"grafana\"\nhash = \"sha256:{}\"\nmay = [\"read\", \"admin\"]\n",
        hash.replace('0', "f")
    );
    let corpus = Corpus {
        sound: &[file.as_bytes()],
        tokens: &[
            "\n",
            "\"",
            "'''",
            "[[key]]\n",
            "[key]\n",
            "[",
            "]",
            "=",
            "-1",
            "0",
            "nan",
            "1e400",
            "9223372036854775808",
            "may = []\n",
            "*",
            "**********a",
            "name = \"unnamed\"\n",
            "expires = 2027-06-30\n",
            "expires = \"never\"\n",
            "scram = \"x\"\n",
            "sha256:",
            "é",
            "\0",
        ],
    };
    fuzz::run("keys_file", corpus, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Err(error) = KeysFile::parse(&text) else {
            return Ok(());
        };
        if error.line == 0 || error.line > text.matches('\n').count() + 1 || error.column == 0 {
            return Err(format!("{error} is no place in it"));
        }
        if error.message.is_empty() {
            return Err("refused without a word".to_owned());
        }
        Ok(())
    });
}
