//! What is said of the health of a volume or of a node's storage: one entry for each status and reason,
//! as CSI wants it.

use ingot_csi_proto::v1::VolumeHealthErrorType;
use ingot_csi_proto::v1::volume_health::VolumeHealthEntry;

/// How bad it is for a volume that something is wrong with it on the disks.
pub(crate) fn severity(readable: bool) -> VolumeHealthErrorType {
    match readable {
        true => VolumeHealthErrorType::Degraded,
        false => VolumeHealthErrorType::Inaccessible,
    }
}

/// An entry about a volume, as CSI has it.
pub(crate) fn entry(
    status: VolumeHealthErrorType,
    reason: String,
    message: String,
) -> VolumeHealthEntry {
    VolumeHealthEntry {
        status: status.into(),
        reason,
        message,
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Findings<S>(Vec<(S, &'static str, String)>);

impl<S> Default for Findings<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: Copy + PartialEq> Findings<S> {
    /// Adds it, to the words of the same kind if there are any.
    pub fn say(&mut self, status: S, reason: &'static str, message: String) {
        let same = |entry: &&mut (S, &str, String)| entry.0 == status && entry.1 == reason;
        match self.0.iter_mut().find(same) {
            Some((_, _, text)) if text.contains(&message) => {}
            Some((_, _, text)) => {
                text.push_str("; ");
                text.push_str(&message);
            }
            None => self.0.push((status, reason, message)),
        }
    }

    /// The entries, in the order in which their kinds were found.
    pub fn entries<E>(self, entry: impl Fn(S, String, String) -> E) -> Vec<E> {
        let all = self.0.into_iter();
        all.map(|(status, reason, message)| entry(status, reason.to_owned(), message))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_status_and_reason_is_there_twice() {
        let mut findings = Findings::default();
        findings.say(1, "DiskMissing", "a is missing".into());
        findings.say(1, "PoolFull", "it is full".into());
        findings.say(2, "DiskMissing", "c is missing".into());
        findings.say(1, "DiskMissing", "b is missing".into());
        findings.say(1, "DiskMissing", "b is missing".into());
        let told =
            findings.entries(|status, reason, message| format!("{status} {reason}: {message}"));
        let expected = [
            "1 DiskMissing: a is missing; b is missing",
            "1 PoolFull: it is full",
            "2 DiskMissing: c is missing",
        ];
        assert_eq!(told, expected);
    }
}
