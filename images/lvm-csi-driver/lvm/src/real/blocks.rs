//! Blocks of thin volumes, read from the metadata of their pool while it is in use.
//!
//! The kernel keeps one picture of a pool's metadata for readers, a metadata snapshot (Linux,
//! Documentation/admin-guide/device-mapper/thin-provisioning.rst, "Using an existing pool device"). The
//! programs of thin-provisioning-tools read it and answer in XML, an element a line.

use super::Real;
use super::fill::{mapped, pool_device, status};
use super::lvm::refusal;
use super::program::Program;
use super::tool::Tool;
use crate::backend::Reply;
use crate::blocks::{BlockQuery, BlockRange, Blocks};
use crate::command::Command;
use crate::error::LvmError;
use ingot_volume_brain::{Bytes, LvName, VgName};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Report {
    report: Vec<Volumes>,
}

#[derive(Deserialize)]
struct Volumes {
    lv: Vec<Volume>,
}

#[derive(Deserialize)]
struct Volume {
    lv_name: String,
    pool_lv: String,
    thin_id: String,
}

/// The kernel's picture of a pool's metadata, as long as this is there.
struct Picture<'a> {
    vg: &'a VgName,
    pool: &'a LvName,
}

impl<'a> Picture<'a> {
    fn take(vg: &'a VgName, pool: &'a LvName) -> Result<Self, LvmError> {
        release(vg, pool)?;
        message(vg, pool, "reserve_metadata_snap")?;
        Ok(Self { vg, pool })
    }
}

impl Drop for Picture<'_> {
    fn drop(&mut self) {
        // Where it stays, the next look at the fill finds it.
        let _ = message(self.vg, self.pool, "release_metadata_snap");
    }
}

fn message(vg: &VgName, pool: &LvName, text: &str) -> Result<Reply, LvmError> {
    Program::new(Tool::Dmsetup)
        .arg("message")
        .arg(pool_device(vg, pool))
        .args(["0", text])
        .run()
}

/// Lets go of a picture that somebody left.
pub(super) fn release(vg: &VgName, pool: &LvName) -> Result<Reply, LvmError> {
    match status(vg, pool)?.held {
        true => message(vg, pool, "release_metadata_snap"),
        false => Ok(Reply::Done),
    }
}

impl Real {
    pub(super) fn thin_blocks(&self, query: &BlockQuery) -> Result<Blocks, LvmError> {
        let numbers = self.thin_numbers(query)?;
        let number = |lv: &LvName| {
            let found = numbers.iter().find(|volume| volume.lv_name == lv.as_str());
            let of_pool = found.filter(|volume| volume.pool_lv == query.pool.as_str());
            of_pool
                .map(|volume| volume.thin_id.clone())
                .ok_or_else(|| LvmError::NotFound {
                    what: format!("thin volume {}/{lv} in {}", query.vg, query.pool),
                })
        };
        let own = number(&query.lv)?;
        let program = match &query.base {
            None => Program::new(Tool::ThinDump).args(["--format", "xml", "--dev-id", &own]),
            Some(base) => {
                Program::new(Tool::ThinDelta).args(["--thin1", &number(base)?, "--thin2", &own])
            }
        };
        let picture = Picture::take(&query.vg, &query.pool)?;
        let metadata = format!("{}_tmeta", mapped(&query.vg, &query.pool));
        let program = program
            .arg("--metadata-snap")
            .arg(Path::new("/dev/mapper").join(metadata));
        let mut reader = Reader::new(query);
        let answer = program.lines(|line| reader.line(line))?;
        drop(picture);
        match answer.code {
            Some(0) => Ok(reader.found),
            // It was ended: there is more than was asked for.
            _ if reader.found.more => Ok(reader.found),
            _ => Err(answer.failed()),
        }
    }

    /// What the kernel calls the volumes.
    fn thin_numbers(&self, query: &BlockQuery) -> Result<Vec<Volume>, LvmError> {
        let command = Command::ThinBlocks(query.clone());
        let answer = self.start(&query.vg, &command)?;
        if answer.code != Some(0) {
            return Err(refusal(&query.vg, &command, &answer));
        }
        let report: Report =
            serde_json::from_str(&answer.stdout).map_err(|error| LvmError::Failed {
                command: command.name(),
                reason: format!("the report of LVM cannot be read: {error}"),
            })?;
        Ok(report.report.into_iter().flat_map(|part| part.lv).collect())
    }
}

/// Reads the lines of both programs.
struct Reader<'a> {
    query: &'a BlockQuery,
    chunk: u64,
    found: Blocks,
}

impl<'a> Reader<'a> {
    fn new(query: &'a BlockQuery) -> Self {
        Self {
            query,
            chunk: 0,
            found: Blocks::default(),
        }
    }

    /// Reads one. Says whether the next is of interest.
    fn line(&mut self, line: &str) -> bool {
        let words = line.trim().trim_start_matches('<');
        let (element, rest) = words.split_once(' ').unwrap_or((words, ""));
        let value = |name: &str| {
            let begin = rest.find(&format!("{name}=\""))? + name.len() + 2;
            rest[begin..].split('"').next()?.parse::<u64>().ok()
        };
        let range = match element {
            "superblock" => {
                // In sectors.
                self.chunk = value("data_block_size").unwrap_or_default() * 512;
                None
            }
            // What one of the two has written and the other has not differs as well.
            "different" | "left_only" | "right_only" => value("begin").zip(value("length")),
            "range_mapping" => value("origin_begin").zip(value("length")),
            "single_mapping" => value("origin_block").zip(Some(1)),
            _ => None,
        };
        let Some((begin, length)) = range else {
            return true;
        };
        let place = |block: u64| Bytes(block.saturating_mul(self.chunk));
        let (from, to) = (place(begin), place(begin.saturating_add(length)));
        self.found.take(self.query, BlockRange { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(u64, u64)> {
        let name = |name| LvName::new(name).expect("a name");
        let query = BlockQuery {
            vg: VgName::new("vg").expect("a name"),
            pool: name("pool"),
            lv: name("lv"),
            base: None,
            from: Bytes::ZERO,
            most: 100,
        };
        let mut reader = Reader::new(&query);
        assert!(text.lines().all(|line| reader.line(line)));
        let chunk = |bytes: Bytes| bytes.0 / (64 << 10);
        let ranges = reader.found.ranges.iter();
        ranges
            .map(|range| (chunk(range.from), chunk(range.to)))
            .collect()
    }

    #[test]
    fn what_two_volumes_do_not_share_differs() {
        let delta = r#"<superblock uuid="" time="2" transaction="4" data_block_size="128" nr_data_blocks="0">
  <diff left="1" right="2">
    <same begin="0" length="4"/>
    <different begin="4" length="2"/>
    <right_only begin="6" length="1"/>
    <left_only begin="9" length="3"/>
  </diff>
</superblock>"#;
        assert_eq!(read(delta), [(4, 7), (9, 12)]);
    }

    #[test]
    fn what_is_mapped_is_written() {
        let dump = r#"<superblock uuid="" time="1" transaction="2" version="2" data_block_size="128" nr_data_blocks="16384">
  <device dev_id="2" mapped_blocks="5" transaction="0" creation_time="0" snap_time="1">
    <range_mapping origin_begin="0" data_begin="7" length="4" time="0"/>
    <single_mapping origin_block="4" data_block="99" time="1"/>
    <single_mapping origin_block="8" data_block="100" time="1"/>
  </device>
</superblock>"#;
        assert_eq!(read(dump), [(0, 5), (8, 9)]);
    }
}
