//! Guests do what machines with disks do, and leave nothing behind.
//!
//! Needs root and QEMU, and boots emulated machines, so it runs only with INGOT_GUEST_TESTS=1. It
//! destroys nothing but guests it made itself. Prints how long each step took.

mod command;
mod disks;
mod guest;
mod lab;
mod lifetime;
mod machine;
mod power;
mod remains;
