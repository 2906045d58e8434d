//! The range of sizes that a request takes.

use crate::problem::Problem;
use ingot_csi_proto::v1;
use ingot_volume_brain::Bytes;

/// A range of sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// At least.
    pub least: Bytes,
    /// At most.
    pub most: Bytes,
}

impl Range {
    pub fn parse(range: Option<v1::CapacityRange>) -> Result<Self, Problem> {
        let range = range.unwrap_or_default();
        let size = |bytes: i64, what: &str| {
            let refuse = |_| {
                Problem::OutOfRange(format!(
                    "the {what} size is {bytes}; ask for 0 or more bytes"
                ))
            };
            u64::try_from(bytes).map(Bytes).map_err(refuse)
        };
        let least = size(range.required_bytes, "required")?;
        let most = match size(range.limit_bytes, "limit")? {
            Bytes::ZERO => Bytes(u64::MAX),
            limit => limit,
        };
        if least > most {
            return Err(Problem::OutOfRange(format!(
                "the required size {least} is above the limit {most}; correct one of them"
            )));
        }
        Ok(Self { least, most })
    }

    pub fn holds(&self, size: Bytes) -> bool {
        self.least <= size && size <= self.most
    }
}
