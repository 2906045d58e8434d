//! Asks and changes the members of etcd, through the member on this host (etcd's gRPC gateway,
//! https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/). It decides nothing about who should be a member.

use super::kube::https;
use crate::paths;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub mod leaving;

/// Where the manifest of this host's member is.
pub const MANIFEST: &str = "/etc/kubernetes/manifests/etcd.yaml";
/// What a member has once it was started.
const DATA: &str = "/var/lib/etcd/member";
/// The member on this host.
const HERE: &str = "https://127.0.0.1:2379";

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its ID, a decimal number.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name; empty until it was started.
    #[serde(default)]
    pub name: String,
    /// Where other members reach it.
    #[serde(default, rename = "peerURLs")]
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it was started.
    #[serde(default, rename = "clientURLs")]
    pub client_urls: Vec<String>,
    /// Whether it only receives, and has no vote.
    #[serde(default, rename = "isLearner")]
    pub learner: bool,
}

impl Member {
    /// Where it is reached from other hosts; nothing until it was started.
    fn client_url(&self) -> Option<&String> {
        self.client_urls
            .iter()
            .find(|url| !url.contains("127.0.0.1"))
    }
}

/// How the member on this host was started, and whom it knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// `--initial-cluster` of its manifest. It counts only at the first start, so it stays as it is.
    pub initial_cluster: String,
    /// `--initial-cluster-state` of its manifest.
    pub initial_state: String,
    /// Whether it has data.
    pub data: bool,
    /// The members, where it answers.
    pub members: Option<Vec<Member>>,
}

/// The value of a flag in the manifest of a member.
fn flag(manifest: &str, name: &str) -> String {
    let mut lines = manifest.lines().map(str::trim);
    let value = lines.find_map(|line| {
        line.strip_prefix("- --")?
            .strip_prefix(name)?
            .strip_prefix('=')
    });
    value.unwrap_or_default().to_owned()
}

/// The member on this host, if it has one.
pub async fn of_this_host() -> Option<Etcd> {
    let manifest = std::fs::read_to_string(MANIFEST).ok()?;
    Some(Etcd {
        initial_cluster: flag(&manifest, "initial-cluster"),
        initial_state: flag(&manifest, "initial-cluster-state"),
        data: Path::new(DATA).exists(),
        members: members().await.ok(),
    })
}

async fn ask(path: &str, body: &Value) -> Result<Value, String> {
    ask_at(HERE, path, body).await
}

async fn ask_at(url: &str, path: &str, body: &Value) -> Result<Value, String> {
    let request = http::Request::post(path)
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .map_err(|error| error.to_string())?;
    let client = client(url).await?;
    let asked = client.request_text(request);
    let answer = tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .map_err(|_| "etcd does not answer within 10 s".to_owned())?
        .map_err(|error| crate::error::chain(&error))?;
    serde_json::from_str(&answer).map_err(|error| format!("etcd answered {answer}: {error}"))
}

async fn client(url: &str) -> Result<kube::Client, String> {
    let file = |name: &str| format!("{}/{name}", paths::PKI);
    https(
        url,
        &file("etcd/ca.crt"),
        &file("apiserver-etcd-client.crt"),
        &file("apiserver-etcd-client.key"),
    )
    .await
}

/// All members.
///
/// # Errors
/// When the member on this host does not answer, or has no majority.
pub async fn members() -> Result<Vec<Member>, String> {
    members_at(HERE).await
}

/// All members, as the one at `url` tells them.
///
/// # Errors
/// When it does not answer, or has no majority.
async fn members_at(url: &str) -> Result<Vec<Member>, String> {
    #[derive(Deserialize)]
    struct List {
        #[serde(default)]
        members: Vec<Member>,
    }
    let body = json!({ "linearizable": true });
    let answer = ask_at(url, "/v3/cluster/member/list", &body).await?;
    let list: List = serde_json::from_value(answer).map_err(|error| error.to_string())?;
    Ok(list.members)
}

/// Whether a member answers and knows a leader.
pub async fn serves(member: &Member) -> bool {
    let Some(url) = member.client_url() else {
        return false;
    };
    let ask = async {
        let request = http::Request::get("/health").body(Vec::new()).ok()?;
        client(url).await.ok()?.request_text(request).await.ok()
    };
    let answer = tokio::time::timeout(Duration::from_secs(3), ask).await;
    matches!(answer, Ok(Some(text)) if text.replace(' ', "").contains("\"health\":\"true\""))
}

/// Makes sure that a learner is expected at `peer_url`, for a host without data; returns what
/// `--initial-cluster` of its member has to be. A member of before at the same place is removed first: it
/// cannot come back without its data.
///
/// # Errors
/// When etcd refuses, or does not answer.
pub async fn expect_learner(name: &str, peer_url: &str) -> Result<String, String> {
    let all = members().await?;
    let at_its_place = |member: &&Member| {
        member.name == name || member.peer_urls.iter().any(|url| url == peer_url)
    };
    let expected = all.iter().find(at_its_place);
    if let Some(stale) = expected.filter(|member| !member.name.is_empty()) {
        ask("/v3/cluster/member/remove", &json!({ "ID": stale.id })).await?;
    }
    if expected.is_none_or(|member| !member.name.is_empty()) {
        let add = json!({ "peerURLs": [peer_url], "isLearner": true });
        ask("/v3/cluster/member/add", &add).await?;
    }
    let mut parts = vec![format!("{name}={peer_url}")];
    for member in members().await? {
        if !member.name.is_empty() && member.name != name {
            parts.extend(
                member
                    .peer_urls
                    .iter()
                    .map(|url| format!("{}={url}", member.name)),
            );
        }
    }
    parts.sort();
    Ok(parts.join(","))
}

/// Gives the member `name` a vote, if it has none.
///
/// # Errors
/// While it has not caught up with the leader, or when etcd refuses.
pub async fn promote(name: &str) -> Result<(), String> {
    let all = members().await?;
    let Some(member) = all.iter().find(|member| member.name == name) else {
        return Err("its member of etcd has not started yet".into());
    };
    if member.learner {
        ask("/v3/cluster/member/promote", &json!({ "ID": member.id })).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_the_gateway_writes_them() {
        let text = r#"{"ID":"9372538179322589801","name":"cp-1","peerURLs":["https://10.0.0.1:2380"],"clientURLs":["https://10.0.0.1:2379"]}"#;
        let member: Member = serde_json::from_str(text).unwrap();
        assert_eq!(
            (member.id.as_str(), member.learner),
            ("9372538179322589801", false)
        );
        let added = r#"{"ID":"1","peerURLs":["https://10.0.0.2:2380"],"isLearner":true}"#;
        let member: Member = serde_json::from_str(added).unwrap();
        assert!(member.learner && member.name.is_empty() && member.client_urls.is_empty());
    }
}
