//! The checks as a page of the reference: `docs/reference/preflight.md`. Pure; a test holds the page to it.

use super::{CHECKS, Check, Weight};
use crate::overrides;
use std::fmt::Write;

const HEAD: &str = "# Preflight checks

<!-- Generated from installer/lifecycle/src/preflight. Do not edit: `make golden` writes it. -->

`plan`, `apply` and `bootstrap` check all hosts before anything is changed, and report all findings at once. An
error stops the run with exit code 3; a warning is told. `--ignore-check NAME` turns the errors of a check into
warnings; it may be given more than once.

What cluster.yaml overrides (`spec.apiServer.extraArgs`, `spec.kubelet.config`) is checked before any host is
reached, by the kube-apiserver and the kubelet of the bundle themselves: unknown flags and fields, wrong types,
values out of range, feature gates by name. Each finding has its line and column, and the exit code is 2. This
check is called `SETTINGS`.

| Check | How it is found | Consequence | Remedy | Weight |
|---|---|---|---|---|
";

/// The page.
pub fn reference() -> String {
    let mut page = HEAD.replace("SETTINGS", overrides::CHECK);
    for check in CHECKS {
        let Check {
            name,
            how,
            consequence,
            remedy,
            weight,
            ..
        } = check;
        let weight = match weight {
            Weight::Errors => "error",
            Weight::Warnings => "warning",
            Weight::Both => "error or warning",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{name}` | {how} | {consequence} | {remedy} | {weight} |"
        );
    }
    page
}
