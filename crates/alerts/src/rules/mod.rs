//! Rules: Prometheus' rule files in, [`Rules`] out. What is not taken is refused with its file, line and column, all
//! complaints at once; nothing is guessed.

mod builtin;
mod complaint;
mod declared;
mod file;
mod load;
mod number;
mod place;
mod rule;
mod template;

pub use complaint::{Complaint, Complaints};
pub(crate) use file::{or_default, read_yaml};
pub use load::{read_file, read_folder};
pub(crate) use load::{read_text, read_texts, says_no_data};
pub(crate) use place::place_of;
pub(crate) use rule::OWN_KIND;
pub use rule::{NO_DATA_AFTER_MS, NoData, Rule, Rules};
pub use template::Template;
pub(crate) use template::is_label;

#[cfg(test)]
mod tests;
