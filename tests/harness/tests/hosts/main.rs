//! Real hosts do what real machines do, and leave nothing behind.
//!
//! Needs root and the machine's kernel, so it runs only with INGOT_HOST_TESTS=1. It destroys nothing
//! but labs it made itself.

mod bare;
mod lab;
mod lifetime;
mod limits;
mod power;
