//! AWS list prices in US dollars, us-east-1, without free tiers or agreements. Requests to SQS and S3 are
//! priced by [`aws::price_per_request`]; these are the rest, read on the same day, [`aws::PRICES_AS_OF`].

/// A request to a standard queue of SQS above 100 billion a month; below, [`aws::price_per_request`] holds.
pub(super) const SQS_ABOVE_100_BILLION: f64 = 0.30 / 1e6;

/// S3 Standard, for each GB stored for a month.
pub(super) const S3_GB_MONTH: f64 = 0.023;

/// Fargate on ARM, for each vCPU and hour.
pub(super) const FARGATE_VCPU_HOUR: f64 = 0.032_38;
/// Fargate, for each GB of memory and hour.
pub(super) const FARGATE_GB_HOUR: f64 = 0.004_445;

/// Firehose, Direct PUT: for each GB taken in, each record rounded up to [`FIREHOSE_ROUNDS_TO`].
pub(super) const FIREHOSE_GB: f64 = 0.029;
/// Firehose, conversion to Parquet: for each GB taken in.
pub(super) const FIREHOSE_PARQUET_GB: f64 = 0.018;
/// Firehose bills each record rounded up to a multiple of these bytes.
pub(super) const FIREHOSE_ROUNDS_TO: f64 = 5.0 * 1024.0;

/// Kinesis Data Streams on demand: for each GB written, each record rounded up to [`KINESIS_ROUNDS_TO`].
pub(super) const KINESIS_GB_IN: f64 = 0.08;
/// Kinesis Data Streams on demand: for each GB read.
pub(super) const KINESIS_GB_OUT: f64 = 0.04;
/// Kinesis Data Streams on demand: for each stream and hour.
pub(super) const KINESIS_STREAM_HOUR: f64 = 0.04;
/// Kinesis bills each record rounded up to a multiple of these bytes.
pub(super) const KINESIS_ROUNDS_TO: f64 = 1024.0;

/// Bytes of a GB, as AWS bills it.
pub(super) const GB: f64 = 1024.0 * 1024.0 * 1024.0;
