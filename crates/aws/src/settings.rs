//! The settings that several services share; each flag can be given as an environment variable.

use clap::Args;

/// The setting that names the queue of events.
#[derive(Debug, Clone, Args)]
pub struct QueueSettings {
    /// Name of the SQS queue of events.
    #[arg(long, env, default_value = "headwater-events", value_parser = queue_name)]
    pub queue_name: String,
}

/// The setting that names the dead-letter queue.
#[derive(Debug, Clone, Args)]
pub struct DlqSettings {
    /// Name of the dead-letter queue.
    #[arg(long, env, default_value = "headwater-events-dlq", value_parser = queue_name)]
    pub dlq_name: String,
}

impl DlqSettings {
    /// Checks that dead letters do not go back to the queue of events.
    ///
    /// # Errors
    ///
    /// Words for the user that name both settings and what they must be.
    pub fn check(&self, events: &QueueSettings) -> Result<(), String> {
        if self.dlq_name == events.queue_name {
            return Err(format!(
                "DLQ_NAME and QUEUE_NAME are both `{}`: dead letters need a queue of their own",
                self.dlq_name
            ));
        }
        Ok(())
    }
}

/// The setting that names the bucket of the lake.
#[derive(Debug, Clone, Args)]
pub struct LakeSettings {
    /// Name of the S3 bucket of the lake.
    #[arg(long, env, default_value = "headwater-lake", value_parser = bucket_name)]
    pub lake_bucket: String,
}

/// The setting that lets a service make missing queues and buckets.
#[derive(Debug, Clone, Default, Args)]
pub struct CreateSettings {
    /// Make what the service needs of queues and bucket where it is missing. Without it, they are made only at an
    /// endpoint on this machine; `--create=false` makes them nowhere.
    #[arg(long, env, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub create: Option<bool>,
}

impl CreateSettings {
    /// Whether to make missing queues and buckets at the endpoint of `aws`: as the user says, else on this machine
    /// only.
    pub fn wanted(&self, aws: &crate::Aws) -> bool {
        self.create.unwrap_or_else(|| aws.is_loopback())
    }
}

/// A standard queue's name (SQS Developer Guide, "Amazon SQS standard queue quotas", read 2026-11-21).
fn queue_name(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if (1..=80).contains(&name.len()) && name.bytes().all(allowed) {
        Ok(name.to_owned())
    } else {
        Err("a queue's name is 1 to 80 letters, digits, hyphens and underscores".to_owned())
    }
}

/// Beginnings and ends of names that S3 keeps for itself, or that name something other than a general purpose bucket.
const RESERVED_BEGINNINGS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// A bucket's name (S3 User Guide, "General purpose bucket naming rules", read 2026-11-26).
fn bucket_name(name: &str) -> Result<String, String> {
    let letter_or_digit = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    let inside = |byte: &u8| letter_or_digit(byte) || matches!(byte, b'-' | b'.');
    let is_one = (3..=63).contains(&bytes.len())
        && bytes.iter().all(inside)
        && [bytes.first(), bytes.last()]
            .into_iter()
            .flatten()
            .all(letter_or_digit);
    if !is_one {
        return Err(
            "a bucket's name is 3 to 63 lower-case letters, digits, hyphens and dots, a letter or digit at either end"
                .to_owned(),
        );
    }
    if name.contains("..") {
        return Err("a bucket's name has no two dots beside each other".to_owned());
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("a bucket's name is not an IP address".to_owned());
    }
    let begins = RESERVED_BEGINNINGS
        .into_iter()
        .find(|reserved| name.starts_with(reserved));
    let ends = RESERVED_ENDS
        .into_iter()
        .find(|reserved| name.ends_with(reserved));
    match (begins, ends) {
        (Some(reserved), _) => Err(format!(
            "S3 keeps names that begin with `{reserved}` for itself"
        )),
        (_, Some(reserved)) => Err(format!(
            "S3 keeps names that end with `{reserved}` for itself"
        )),
        (None, None) => Ok(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_aws_would_refuse_are_refused() {
        let (long, longest) = ("q".repeat(81), "q".repeat(80));
        for name in ["headwater-events", "A_1", &longest] {
            queue_name(name).unwrap();
        }
        for name in ["", "bad name", "events.fifo", "ü", &long] {
            queue_name(name).unwrap_err();
        }
        for name in [
            "headwater-lake",
            "a.b",
            "123",
            "1.2.3",
            "1.2.3.4.5",
            "a-s3alias-b",
            "x.xn--y",
            "256.1.1.1",
        ] {
            bucket_name(name).unwrap();
        }
        for (name, words) in [
            ("1.2.3.4", "IP address"),
            ("a..b", "two dots"),
            ("xn--abc", "begin with `xn--`"),
            ("sthree-configurator", "begin with `sthree-`"),
            ("amzn-s3-demo-bucket", "begin with `amzn-s3-demo-`"),
            ("abc-s3alias", "end with `-s3alias`"),
            ("abc--ol-s3", "end with `--ol-s3`"),
            ("abc.mrap", "end with `.mrap`"),
            ("abc--x-s3", "end with `--x-s3`"),
            ("abc--table-s3", "end with `--table-s3`"),
        ] {
            let refused = bucket_name(name).unwrap_err();
            assert!(refused.contains(words), "{name}: {refused}");
        }
        for name in ["ab", "Bad_Bucket", "-ab", "ab-", "a b c", &"b".repeat(64)] {
            bucket_name(name).unwrap_err();
        }
    }

    #[test]
    fn dead_letters_have_a_queue_of_their_own() {
        let dlq = DlqSettings {
            dlq_name: "x".to_owned(),
        };
        let queue = |name: &str| QueueSettings {
            queue_name: name.to_owned(),
        };
        dlq.check(&queue("y")).unwrap();
        assert!(dlq.check(&queue("x")).unwrap_err().contains("DLQ_NAME"));
    }
}
