//! The kinds of sources a component is made of, one file each.

pub mod cargo;
pub mod deb;
pub mod go;
pub mod oci;
