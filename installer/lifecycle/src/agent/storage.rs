//! Reads what storage is made of from the API server of this control plane, and makes what a person
//! asks for there. It understands none of it: that is the driver's work.

use super::kube::client;
use crate::error::chain;
use crate::storage::objects::{Answer, Kind, matters};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Objects in one answer of the API server.
const PAGE: usize = 500;
/// How often a list is begun again when it has grown too old while it was read.
const ATTEMPTS: usize = 3;

/// Part of a list.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

/// Everything that matters.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn read() -> Result<Answer, String> {
    let client = client().await?;
    let now = Timestamp::now();
    let lists: Vec<(Kind, Option<Vec<Value>>)> = stream::iter(Kind::ALL)
        .map(|kind| list(&client, kind))
        .buffered(4)
        .try_collect()
        .await?;
    let mut answer = Answer {
        now,
        absent: BTreeSet::new(),
        items: Vec::new(),
    };
    for (kind, found) in lists {
        match found {
            None => drop(answer.absent.insert(kind)),
            Some(found) => answer
                .items
                .extend(found.into_iter().map(|item| (kind, item))),
        }
    }
    Ok(answer)
}

/// All of a kind that matter; nothing, if the API server does not know the kind.
async fn list(client: &Client, kind: Kind) -> Result<(Kind, Option<Vec<Value>>), String> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        match pages(client, kind).await {
            Ok(found) => return Ok((kind, Some(found))),
            Err(Error::Api(status)) if status.code == 404 => return Ok((kind, None)),
            Err(Error::Api(status)) if status.code == 410 && attempts < ATTEMPTS => {}
            Err(error) => return Err(format!("cannot list {}: {}", kind.path(), chain(&error))),
        }
    }
}

async fn pages(client: &Client, kind: Kind) -> Result<Vec<Value>, Error> {
    let mut found = Vec::new();
    let mut next = String::new();
    loop {
        let uri = format!("{}?limit={PAGE}&continue={next}", kind.path());
        let page: Page = client.request(get(&uri)?).await?;
        let items = page.items.into_iter().filter(|item| matters(kind, item));
        found.extend(items.map(light));
        next = page.metadata.next;
        if next.is_empty() {
            return Ok(found);
        }
    }
}

fn get(uri: &str) -> Result<http::Request<Vec<u8>>, Error> {
    http::Request::get(uri)
        .body(Vec::new())
        .map_err(Error::HttpError)
}

/// Without the record of who wrote which field, which is most of an object.
fn light(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// Makes an object; false, if one of its name is there.
///
/// # Errors
/// When the API server refuses.
pub async fn create(object: &Value) -> Result<bool, String> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let what = format!(
        "{} {}/{}",
        object["kind"].as_str().unwrap_or_default(),
        text("namespace"),
        text("name")
    );
    let refused = |error: &dyn std::error::Error| format!("the API server refuses {what}: {error}");
    let (Some((group, version)), Some(plural)) = (
        object["apiVersion"]
            .as_str()
            .and_then(|v| v.split_once('/')),
        object["kind"]
            .as_str()
            .map(|kind| kind.to_lowercase() + "s"),
    ) else {
        return Err(format!("{what} has no kind"));
    };
    let uri = format!(
        "/apis/{group}/{version}/namespaces/{}/{plural}",
        text("namespace")
    );
    let body = serde_json::to_vec(object).map_err(|error| refused(&error))?;
    let request = http::Request::post(uri)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| refused(&error))?;
    match client().await?.request::<Value>(request).await {
        Ok(_) => Ok(true),
        Err(Error::Api(status)) if status.reason == "AlreadyExists" => Ok(false),
        Err(error) => Err(format!("the API server refuses {what}: {}", chain(&error))),
    }
}

/// A VolumeSnapshot and the content that belongs to it, as far as they are there.
///
/// # Errors
/// When the API server does not answer.
pub async fn volume_snapshot(
    namespace: &str,
    name: &str,
) -> Result<(Option<Value>, Option<Value>), String> {
    let client = client().await?;
    let group = "/apis/snapshot.storage.k8s.io/v1";
    let uri = format!("{group}/namespaces/{namespace}/volumesnapshots/{name}");
    let snapshot = one(&client, &uri).await?;
    let content = snapshot
        .as_ref()
        .and_then(|found: &Value| found["status"]["boundVolumeSnapshotContentName"].as_str());
    let content = match content {
        Some(content) => {
            one(
                &client,
                &format!("{group}/volumesnapshotcontents/{content}"),
            )
            .await?
        }
        None => None,
    };
    Ok((snapshot, content))
}

async fn one(client: &Client, uri: &str) -> Result<Option<Value>, String> {
    let failed = |error: Error| format!("cannot read {uri}: {}", chain(&error));
    match client.request(get(uri).map_err(failed)?).await {
        Ok(object) => Ok(Some(light(object))),
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
