//! The driver as a whole, on a simulated node. One program, so that it is linked once.

mod bed;
mod capacity;
mod cluster;
mod crash;
mod disks;
mod erase;
mod features;
mod formatted;
mod gone;
mod growth;
mod guardian;
mod guest;
mod known_bugs;
mod lists;
mod making;
mod metadata;
mod metrics;
mod past;
mod process;
mod quarantine;
mod raw;
mod refusals;
mod replay;
mod sanity;
mod together;
mod trouble;
