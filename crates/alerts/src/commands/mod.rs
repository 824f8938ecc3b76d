//! What `alerts` can do beside serving.

mod check;
mod notify_test;
mod replay;
mod retry;
mod series;
mod test_file;
mod unit_test;

pub use check::check;
pub use notify_test::notify_test;
pub use replay::Replay;
pub use retry::retry;
pub use unit_test::test;
