//! What there is to take in, and the log of what was: a listing of `raw/` comes in, intents, done marks and the
//! checkpoint go out. S3 lets one writer have a commit number, and a number is given out only after the commit before
//! it is done.

pub(crate) mod discover;
pub(crate) mod writer;
