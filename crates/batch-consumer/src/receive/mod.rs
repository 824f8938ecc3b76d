//! From SQS to events: messages come in by long polls, are held against their visibility timeout, and go out decoded, or
//! as letters with a reason. A message is deleted, given back or left to come again, and never forgotten.

pub mod budget;
pub mod dead_letter;
pub mod decode;
pub mod held;
pub mod outage;
pub mod receivers;
