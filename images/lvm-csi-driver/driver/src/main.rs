//! The program `lvm-csi-driver`.
fn main() {}
