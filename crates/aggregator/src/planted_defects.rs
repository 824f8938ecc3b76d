//! Ways in which a test can make the aggregator wrong, to see that the defect is found. In other builds each function
//! returns what it is given, or false.

use aws::{CallError, Condition, Lake};
use planted::{Defect, has};

pub(crate) fn skip_id_check() -> bool {
    has(Defect::SkipIdCheck)
}

pub(crate) fn lose_last_spill_block() -> bool {
    has(Defect::LoseLastSpillBlock)
}

pub(crate) fn lose_put_off() -> bool {
    has(Defect::LosePutOff)
}

pub(crate) fn forget_rows_alone() -> bool {
    has(Defect::ForgetRowsAlone)
}

pub(crate) fn trust_name_order() -> bool {
    has(Defect::TrustNameOrder)
}

pub(crate) async fn name_part(lake: &Lake, key: String) -> Result<String, CallError> {
    if has(Defect::FinishUnderNewNames) && lake.head(&key).await?.is_some() {
        return Ok(key.replace("part-0", "part-9"));
    }
    Ok(key)
}

pub(crate) fn replace_if(condition: Condition) -> Condition {
    let planted = has(Defect::ReplaceBlindly).then_some(Condition::Always);
    planted.unwrap_or(condition)
}
