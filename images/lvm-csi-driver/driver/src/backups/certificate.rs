//! Keeps the certificate of the service and the object that tells where it is.
//!
//! An authority signs one certificate, and its key is forgotten: there is nothing to steal, and a renewal
//! makes another authority, beside which the one before is trusted as long as it is valid. Clients are told
//! of an authority before anything is served that it has signed.

use super::{PEER, SECRET, entry, resource};
use crate::config::DRIVER_NAME;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Client, Error};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: Duration = Duration::from_secs(86400);
/// How long a certificate is valid, and when it is renewed.
const LIFE: Duration = Duration::from_secs(365 * 86400);
const RENEWAL: Duration = Duration::from_secs(245 * 86400);
/// Clocks of servers differ.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// How often it is looked, and how soon after a failure.
const LOOK: Duration = Duration::from_secs(12 * 3600);
const SOON: Duration = Duration::from_secs(30);

/// Entries of the Secret, beside `tls.crt` and `tls.key`.
const AUTHORITY: &str = "ca.crt";
const ADDRESS: &str = "address";
const RENEW_AT: &str = "renew-at";

/// Keeps both for ever: for a service at that host and port.
pub async fn keep(client: Client, address: String) {
    loop {
        let again = match once(&client, &address, SystemTime::now()).await {
            Ok(()) => LOOK,
            Err(trouble) => {
                eprintln!("snapshot metadata: {trouble}");
                SOON
            }
        };
        tokio::time::sleep(again).await;
    }
}

async fn once(client: &Client, address: &str, now: SystemTime) -> Result<(), String> {
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let failed = |error: Error| format!("Secret {SECRET}: {error}");
    let found = secrets.get_opt(SECRET).await.map_err(failed)?;
    if let Some(trust) = found.as_ref().and_then(|found| good(found, address, now)) {
        return advertise(client, address, &trust).await;
    }
    let before = found.as_ref().and_then(|found| entry(found, AUTHORITY));
    let secret = made(address, before.as_deref(), now).map_err(|error| error.to_string())?;
    let trust = entry(&secret, AUTHORITY).unwrap_or_default();
    advertise(client, address, &trust).await?;
    let all = PostParams::default();
    let written = match found {
        None => secrets.create(&all, &secret).await,
        // Where the driver is installed it is there, empty: whoever may make Secrets could make one that gives
        // them the token of another account.
        Some(found) => {
            let data = secret.data;
            secrets
                .replace(SECRET, &all, &Secret { data, ..found })
                .await
        }
    };
    match written {
        Ok(_) => Ok(()),
        // Another controller was first; the next look advertises what it has made.
        Err(error) => Err(failed(error)),
    }
}

/// The authorities to trust, where the Secret is whole, for that address, and not due.
fn good(secret: &Secret, address: &str, now: SystemTime) -> Option<String> {
    let whole = ["tls.crt", "tls.key"]
        .iter()
        .all(|name| entry(secret, name).is_some_and(|text| !text.is_empty()));
    let due: u64 = entry(secret, RENEW_AT)?.parse().ok()?;
    let fits = whole && entry(secret, ADDRESS)? == address && seconds(now) < due;
    entry(secret, AUTHORITY).filter(|_| fits)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A new authority and what it has signed.
fn made(address: &str, before: Option<&str>, now: SystemTime) -> Result<Secret, rcgen::Error> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let valid = |params: &mut CertificateParams| {
        params.not_before = (now - SKEW).into();
        params.not_after = (now + LIFE).into();
        let serial: [u8; 16] = rand::random();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
    };
    let mut authority = CertificateParams::default();
    let name = format!("{DRIVER_NAME} {}", seconds(now) / DAY.as_secs());
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut authority);
    let authority_key = KeyPair::generate()?;
    let trusted = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);
    let mut leaf = CertificateParams::new(vec![host.to_owned(), PEER.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, PEER);
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    valid(&mut leaf);
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &issuer)?.pem();
    let trust = match before.and_then(first) {
        Some(before) => format!("{trusted}{before}"),
        None => trusted,
    };
    let entries = [
        ("tls.crt", certificate),
        ("tls.key", key.serialize_pem()),
        (AUTHORITY, trust),
        (ADDRESS, address.to_owned()),
        (RENEW_AT, (seconds(now) + RENEWAL.as_secs()).to_string()),
    ];
    let data = entries.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes())));
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(SECRET.into()),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".into()),
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    })
}

/// The first certificate of several: the newest.
fn first(bundle: &str) -> Option<&str> {
    const END: &str = "-----END CERTIFICATE-----\n";
    bundle.find(END).map(|at| &bundle[..at + END.len()])
}

/// Tells backup programs where the service is and whom to trust.
async fn advertise(client: &Client, address: &str, trust: &str) -> Result<(), String> {
    const GROUP: &str = "cbt.storage.k8s.io";
    let kind = "SnapshotMetadataService";
    let services = resource(GROUP, "v1beta1", kind, "snapshotmetadataservices");
    let services: Api<DynamicObject> = Api::all_with(client.clone(), &services);
    let object = json!({
        "apiVersion": format!("{GROUP}/v1beta1"),
        "kind": kind,
        "metadata": { "name": DRIVER_NAME },
        "spec": {
            "address": address,
            "audience": DRIVER_NAME,
            "caCert": ByteString(trust.as_bytes().to_vec()),
        },
    });
    let ours = PatchParams::apply("lvm-csi-driver").force();
    let object = Patch::Apply(&object);
    let applied = services.patch(DRIVER_NAME, &ours, &object).await;
    let failed = |error| format!("{kind} {DRIVER_NAME}: {error}");
    applied.map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_good_for_its_address_until_it_is_due() {
        let now = SystemTime::now();
        let address = "backups.kube-system.svc:443";
        let secret = made(address, None, now).expect("made");
        let trust = entry(&secret, AUTHORITY).expect("an authority");
        assert_eq!(good(&secret, address, now), Some(trust.clone()));
        assert_eq!(good(&secret, "elsewhere:443", now), None);
        assert_eq!(good(&secret, address, now + RENEWAL), None);
        let mut broken = secret.clone();
        let entries = broken.data.as_mut().expect("entries");
        entries.insert("tls.key".into(), ByteString(Vec::new()));
        assert_eq!(good(&broken, address, now), None);
        // Who trusted the one before goes on trusting what is served until all have the new one.
        let next = made(address, Some(&trust), now + RENEWAL).expect("made");
        let both = entry(&next, AUTHORITY).expect("authorities");
        assert!(both.ends_with(&trust) && both.len() > trust.len());
        let third = made(address, Some(&both), now + 2 * RENEWAL).expect("made");
        let both = entry(&third, AUTHORITY).expect("authorities");
        assert_eq!(both.matches("BEGIN CERTIFICATE").count(), 2);
    }
}
