//! What is on a node, beside what the objects say: read from LVM and the kernel, not from the driver.

use super::{Node, Outcome};
use ingot_lvm_csi::object::{Object, Volume};
use ingot_volume_brain::Phase;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything in one go, since each command to an emulated machine costs.
const LOOK: &str = r#"
echo '{"report":'; lvs --reportformat json --units b --nosuffix -o lv_name,lv_uuid,lv_size,lv_tags; echo '}'
echo ====
cat /var/lib/ingot/storage/volumes/*.json /var/lib/ingot/storage/snapshots/*.json 2>/dev/null || true
echo ====
dmsetup info -c --noheadings --separator ' ' -o suspended,name
echo ====
awk '$5 ~ "^/root/pods/" {print $5}' /proc/self/mountinfo
"#;

/// A logical volume, as LVM reports it.
#[derive(Debug, Clone, Deserialize)]
pub struct Lv {
    lv_name: String,
    pub lv_uuid: String,
    lv_size: String,
    lv_tags: String,
}

#[derive(Deserialize)]
struct Answer {
    report: Report,
}

#[derive(Deserialize)]
struct Report {
    report: Vec<Section>,
}

#[derive(Deserialize)]
struct Section {
    lv: Vec<Lv>,
}

#[derive(Deserialize)]
struct OnFile {
    object: Object,
}

/// A node at one moment.
#[derive(Debug)]
pub struct Audit {
    pub lvs: BTreeMap<String, Lv>,
    pub objects: BTreeMap<String, Volume>,
    suspended: Vec<String>,
    mounts: Vec<String>,
}

impl Node {
    /// Looks at what is there.
    pub fn audit(&self) -> Outcome<Audit> {
        let text = self.sh(LOOK)?;
        let parts: Vec<&str> = text.split("====").collect();
        let [lvs, objects, suspended, mounts] = parts[..] else {
            return Err(format!("what the machine says has {} parts: {text}", parts.len()).into());
        };
        let answer: Answer = serde_json::from_str(lvs)?;
        let all = answer.report.report.into_iter().flat_map(|part| part.lv);
        // Nobody's volumes: the thin pool, and what is kept apart until it is overwritten.
        let ours = |lv: &Lv| lv.lv_name != "pool" && !lv.lv_name.starts_with("erase-");
        let lvs = all.filter(ours);
        let mut found = BTreeMap::new();
        for object in serde_json::Deserializer::from_str(objects).into_iter::<OnFile>() {
            if let Object::Volume(volume) = object?.object {
                found.insert(volume.lv().to_string(), *volume);
            }
        }
        let suspended = suspended
            .lines()
            .filter(|line| line.starts_with("Suspended"));
        Ok(Audit {
            lvs: lvs.map(|lv| (lv.lv_name.clone(), lv)).collect(),
            objects: found,
            suspended: suspended.map(str::to_owned).collect(),
            mounts: mounts.split_whitespace().map(str::to_owned).collect(),
        })
    }
}

impl Audit {
    /// What is wrong, if those volumes and snapshots should be there, and those places be mounted.
    pub fn complaints(&self, wanted: &BTreeSet<String>, mounts: &BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (lv, volume) in &self.objects {
            let name = &volume.csi_name;
            let report = &volume.report;
            if !wanted.contains(name) {
                wrong.push(format!("{name} ({lv}) has an object nobody wants"));
            }
            if volume.deleting || report.phase != Phase::Ready {
                wrong.push(format!(
                    "{name} is not ready: {report:?} {}",
                    volume.message
                ));
            }
            match self.lvs.get(lv) {
                None => wrong.push(format!("{name} is lost: {lv} is not there")),
                Some(found) => {
                    if found.lv_size != report.size.0.to_string() {
                        let size = &found.lv_size;
                        wrong.push(format!("{name} has {size} bytes and says {report:?}"));
                    }
                    if !found.lv_tags.contains("ingot1.state=ready") {
                        wrong.push(format!("{name} is tagged {}", found.lv_tags));
                    }
                }
            }
        }
        for (lv, found) in &self.lvs {
            if !self.objects.contains_key(lv) {
                wrong.push(format!("{lv} has leaked: {}", found.lv_tags));
            }
        }
        for name in wanted {
            let count = self
                .objects
                .values()
                .filter(|v| v.csi_name == *name)
                .count();
            if count != 1 {
                wrong.push(format!("{name} has {count} objects"));
            }
        }
        wrong.extend(self.suspended.iter().map(|device| format!("left {device}")));
        let mut there: Vec<&String> = self.mounts.iter().collect();
        there.sort();
        if there.into_iter().ne(mounts.iter()) {
            wrong.push(format!("mounted: {:?}, not {mounts:?}", self.mounts));
        }
        wrong
    }
}
