//! Ways in which a test can make the service wrong, to see that the defect is found. In other builds each function
//! returns false.

use planted::{Defect, has};

/// Rows stay hot though a commit has taken them in.
pub(crate) fn keep_committed_rows() -> bool {
    has(Defect::KeepCommittedRows)
}
