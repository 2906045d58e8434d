//! `spec.registries`: registries of the site and where they are served.

use super::dns;
use super::paths::{Openness, Paths};
use crate::finding::Report;
use crate::model::Registry;
use crate::shape::{field, item};
use crate::spec;

const REGISTRIES: &str = "spec.registries";

/// Checks all registries.
pub(super) fn check(
    given: Option<&[Option<spec::Registry>]>,
    paths: &Paths<'_>,
    report: &mut Report,
) -> Vec<Registry> {
    let mut registries: Vec<Registry> = Vec::new();
    for (index, given) in given.into_iter().flatten().enumerate() {
        let (place, Some(given)) = (item(REGISTRIES, index), given) else {
            continue;
        };
        let ca_file = given.ca_file.as_deref().and_then(|text| {
            paths.usable(&field(&place, "caFile"), text, Openness::Public, report)
        });
        let host = given
            .host
            .as_deref()
            .and_then(|text| host(&field(&place, "host"), text, report));
        let mut mirrors = Vec::new();
        for (index, mirror) in given.mirrors.iter().flatten().enumerate() {
            let Some(mirror) = mirror else { continue };
            url(&item(&field(&place, "mirrors"), index), mirror, report);
            mirrors.push(mirror.clone());
        }
        if given.mirrors.as_ref().is_some_and(Vec::is_empty) {
            report.error(
                &field(&place, "mirrors"),
                "the list of mirrors is empty",
                "list at least one URL, or remove the field to use the host itself",
            );
        }
        let Some(host) = host else { continue };
        if registries.iter().any(|other| other.host == host) {
            report.error(
                &field(&place, "host"),
                format!("the registry `{host}` is listed already"),
                "list its mirrors in one entry",
            );
            continue;
        }
        if mirrors.is_empty() {
            mirrors.push(format!("https://{host}"));
        }
        registries.push(Registry {
            host,
            mirrors,
            ca_file,
            ca: None,
        });
    }
    registries
}

fn host(place: &str, text: &str, report: &mut Report) -> Option<String> {
    if text.contains("://") || text.contains('/') {
        report.error(
            place,
            format!("`{text}` is more than the host of a registry"),
            "write `host` or `host:port`; URLs go to `mirrors`",
        );
        return None;
    }
    authority(place, text, report)?;
    Some(text.into())
}

/// `host` or `host:port`.
fn authority(place: &str, text: &str, report: &mut Report) -> Option<()> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if let Some(port) = port
        && port.parse::<u16>().ok().filter(|port| *port > 0).is_none()
    {
        report.error(
            place,
            format!("`{port}` is not a port"),
            "use a number from 1 to 65535",
        );
        return None;
    }
    dns::host(place, name, report)
}

fn url(place: &str, text: &str, report: &mut Report) {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        report.error(
            place,
            format!("`{text}` is not a URL of a registry"),
            "begin with `https://`, or `http://` for a registry without TLS",
        );
        return;
    };
    if rest.contains('@') {
        report.error(
            place,
            "the URL holds a user or a password",
            "remove it; passwords do not belong into this file",
        );
        return;
    }
    authority(place, rest.split('/').next().unwrap_or_default(), report);
}
