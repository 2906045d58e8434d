// Pins the CSI specification whose csi.proto this crate compiles; build.rs reads it through `go mod download`.
module ingot.dev/csi-specification

go 1.24

require github.com/container-storage-interface/spec v1.13.0
