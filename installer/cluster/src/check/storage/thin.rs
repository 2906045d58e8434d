//! `thin` of a pool: sizes, and the guard's numbers.

use crate::finding::Report;
use crate::model::{Guard, Thin};
use crate::shape::field;
use crate::spec;
use std::ops::RangeInclusive;

/// Units of sizes, each 1024 times the one before (IEC 80000-13).
const UNITS: [&str; 3] = ["MiB", "GiB", "TiB"];
/// The driver's own fills, from which on a pool stops and grows.
const STOP: f64 = 0.8;
const EXTEND: f64 = 0.7;

pub(super) fn check(place: &str, given: &spec::Thin, report: &mut Report) -> Option<Thin> {
    let mut good = vec![
        sized(&field(place, "size"), given.size.as_deref(), report),
        sized(&field(place, "metadata"), given.metadata.as_deref(), report),
    ];
    let mut part = |name: &str, given: Option<f64>, of: RangeInclusive<f64>, remark: &str| {
        let good = given.is_none_or(|given| of.contains(&given));
        if let Some(given) = given.filter(|_| !good) {
            report.error(
                &field(place, name),
                format!("{given} is not possible for `{name}`"),
                format!(
                    "write a number from {} to {}; {remark}",
                    of.start(),
                    of.end()
                ),
            );
        }
        good
    };
    good.extend([
        part(
            "ratio",
            given.ratio,
            0.1..=100.0,
            "1 promises only what is there",
        ),
        part(
            "stop",
            given.stop,
            0.01..=1.0,
            "0.8 keeps a fifth for what is there already",
        ),
        part(
            "extend",
            given.extend,
            0.01..=1.0,
            "0.7 grows before the pool stops",
        ),
        part("step", given.step, 0.01..=10.0, "0.2 grows by a fifth"),
    ]);
    if !good.iter().all(|good| *good) {
        return None;
    }
    let (stop, extend) = (given.stop.unwrap_or(STOP), given.extend.unwrap_or(EXTEND));
    if extend >= stop {
        let named = if given.extend.is_some() {
            "extend"
        } else {
            "stop"
        };
        report.warn(
            &field(place, named),
            format!(
                "the pool promises nothing new from {stop} on, and grows only from {extend} on"
            ),
            "choose an `extend` below `stop`, unless it shall not grow for new volumes",
        );
    }
    Some(Thin {
        pool: "thin".into(),
        size: given.size.clone()?,
        metadata: given.metadata.clone(),
        guard: Guard {
            ratio: given.ratio.unwrap_or(1.0),
            stop: given.stop,
            extend: given.extend,
            step: given.step,
        },
    })
}

/// Whether a size can be one, if there is one.
fn sized(place: &str, given: Option<&str>, report: &mut Report) -> bool {
    let good = given.is_none_or(|text| {
        UNITS.iter().any(|unit| {
            let number = text.strip_suffix(unit).map(str::trim_end);
            number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
        })
    });
    if let Some(text) = given.filter(|_| !good) {
        report.error(
            place,
            format!("`{}` is not a size", crate::tree::shorten(text)),
            "write a whole number and one of MiB, GiB, TiB, such as 100GiB",
        );
    }
    good
}
