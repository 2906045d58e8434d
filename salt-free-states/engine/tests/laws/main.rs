//! The laws every kind of resource obeys: applied twice it changes nothing the second time, drift of
//! any attribute is found and named, and undo puts back what was there.

mod bench;
mod broken_off;
mod drift;
mod edits;
mod forgotten;
mod kinds;
mod packages;
mod reactions;
mod refusals;
#[path = "../tools/mod.rs"]
mod tools;
mod units;
