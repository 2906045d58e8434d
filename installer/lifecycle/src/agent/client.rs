//! The driver's end of a conversation with an agent.

use super::belonging::Belonging;
use super::etcd::leaving::Extent;
use super::health::{Health, Part};
use super::protocol::{Applied, HostPlan, Reply, Request, receive, send};
use super::reach::Port;
use crate::error::Failure;
use crate::facts::Facts;
use futures::FutureExt;
use ingot_engine::{Event, Report};
use ingot_transport::{Exit, Host, Process, TransportError};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

mod blobs;
mod cluster;
mod membership;
mod pod_path;
mod program;

/// Seconds since 1970, by the clock of this machine.
fn clock() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// A conversation with the agent of one host.
pub struct Session {
    address: String,
    /// The digest of the program that is the agent.
    program: String,
    process: Process,
    /// The connection it runs over.
    host: Option<Box<dyn Host>>,
    /// Why the conversation is over, once it is.
    ended: Option<String>,
}

impl Session {
    /// Keeps the connection for as long as the conversation.
    pub fn keep(mut self, host: Box<dyn Host>) -> Self {
        self.host = Some(host);
        self
    }

    fn broken(&self, reason: impl std::fmt::Display) -> Failure {
        TransportError::Broken {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
        .into()
    }

    async fn reply(&mut self, events: &mut (dyn FnMut(Event) + Send)) -> Result<Reply, Failure> {
        loop {
            match receive::<Reply>(&mut self.process.stdout).await {
                Ok(Some(Reply::Event { event })) => events(event),
                Ok(Some(Reply::Failed { reason })) => return Err(Failure::machine(reason)),
                Ok(Some(Reply::Invalid { reason })) => return Err(Failure::bug(reason)),
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {
                    if self.ended.is_none() {
                        let exit = (&mut self.process.exit).await;
                        self.ended = Some(last_words(&exit));
                    }
                }
                Err(error) => self.ended = Some(error.to_string()),
            }
            if let Some(words) = &self.ended {
                return Err(self.broken(words));
            }
        }
    }

    /// Why the conversation is over, where it is: the host died, or the agent on it. Whoever waits for
    /// the host asks this now and then, since nothing more will come from it.
    pub fn lost(&mut self) -> Option<Failure> {
        if self.ended.is_none()
            && let Some(exit) = (&mut self.process.exit).now_or_never()
        {
            self.ended = Some(last_words(&exit));
        }
        let words = self.ended.as_ref()?;
        Some(self.broken(words))
    }

    async fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.ask_with(request, &mut |_| {}).await
    }

    async fn ask_with(
        &mut self,
        request: &Request,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Reply, Failure> {
        if let Some(failure) = self.lost() {
            return Err(failure);
        }
        if let Err(error) = send(&mut self.process.stdin, request).await {
            // An agent that has ended says why on its way out.
            return match self.reply(events).await {
                Err(failure) => Err(failure),
                Ok(_) => Err(self.broken(error)),
            };
        }
        self.reply(events).await
    }

    /// The host's facts, and the clock of this machine beside that of the host.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn facts(&mut self, measure_disk: bool) -> Result<Facts, Failure> {
        let asked = clock();
        match self.ask(&Request::Facts { measure_disk }).await? {
            Reply::Facts { mut facts } => {
                facts.installer_clock = [asked, clock()];
                Ok(*facts)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// The peers this host cannot reach.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn unreached(
        &mut self,
        peers: Vec<(IpAddr, Port)>,
    ) -> Result<Vec<(IpAddr, Port, String)>, Failure> {
        match self.ask(&Request::Reach { peers }).await? {
            Reply::Unreached { peers } => Ok(peers),
            other => Err(unexpected(&other)),
        }
    }

    /// Opens ports for the reachability check and closes others; those that answer now.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn listen(&mut self, ports: Vec<Port>) -> Result<Vec<Port>, Failure> {
        match self.ask(&Request::Listen { ports }).await? {
            Reply::Listening { open } => Ok(open),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes the lease of the host; it is held until the session ends.
    ///
    /// # Errors
    /// When another installer has it.
    pub async fn lease(&mut self, holder: &str) -> Result<(), Failure> {
        self.done(&Request::Lease {
            holder: holder.into(),
        })
        .await
        .map(drop)
    }

    /// What applying the states would change.
    ///
    /// # Errors
    /// Everything that stands in the way.
    pub async fn plan(
        &mut self,
        states: &[String],
        settings: &serde_json::Value,
    ) -> Result<HostPlan, Failure> {
        let request = Request::Plan {
            states: states.to_vec(),
            settings: settings.clone(),
        };
        match self.ask(&request).await? {
            Reply::Plan { plan } => Ok(plan),
            other => Err(unexpected(&other)),
        }
    }

    /// Applies the states; `events` is told of each resource.
    ///
    /// # Errors
    /// Everything that stood in the way.
    pub async fn apply(
        &mut self,
        states: &[String],
        settings: &serde_json::Value,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Report, Failure> {
        let Applied { report, .. } = self.try_apply(states, settings, events).await?;
        match failures(&report) {
            Some(failure) => Err(failure),
            None => Ok(report),
        }
    }

    /// The same, where failures of single resources are left to the caller to look at.
    ///
    /// # Errors
    /// Everything that stood in the way before the first change.
    pub async fn try_apply(
        &mut self,
        states: &[String],
        settings: &serde_json::Value,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Applied, Failure> {
        let request = Request::Apply {
            states: states.to_vec(),
            settings: settings.clone(),
        };
        match self.ask_with(&request, events).await? {
            Reply::Applied { applied } => Ok(applied),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes back what an application of these states changed; returns what could not be, and what the site
    /// had changed since and keeps.
    ///
    /// # Errors
    /// When the journal cannot be used, or the connection breaks.
    pub async fn put_back(
        &mut self,
        states: &[String],
        settings: &serde_json::Value,
        mark: usize,
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let request = Request::PutBack {
            states: states.to_vec(),
            settings: settings.clone(),
            mark,
        };
        match self.ask(&request).await? {
            Reply::Leftovers { problems, kept } => Ok((problems, kept)),
            other => Err(unexpected(&other)),
        }
    }

    /// How parts of the host are, which must have been started `since` that many seconds after its boot.
    ///
    /// # Errors
    /// When the host cannot be asked.
    pub async fn health(
        &mut self,
        parts: &[Part],
        since: f64,
    ) -> Result<Vec<(Part, Health)>, Failure> {
        let parts = parts.to_vec();
        match self.ask(&Request::Health { parts, since }).await? {
            Reply::Health { parts } => Ok(parts),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts the kubelet of the host anew; its pods go on.
    ///
    /// # Errors
    /// When systemd refuses.
    pub async fn restart_kubelet(&mut self) -> Result<(), Failure> {
        self.done(&Request::RestartKubelet).await.map(drop)
    }

    /// Restarts containerd on the host; its pods go on.
    ///
    /// # Errors
    /// When systemd refuses.
    pub async fn restart_containerd(&mut self) -> Result<(), Failure> {
        self.done(&Request::RestartContainerd).await.map(drop)
    }

    /// What is wrong with the kubelet of the host, if it does not run or does not stay up.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub async fn kubelet_trouble(&mut self) -> Result<Option<String>, Failure> {
        match self.ask(&Request::KubeletTrouble).await? {
            Reply::Trouble { trouble } => Ok(trouble),
            other => Err(unexpected(&other)),
        }
    }

    /// Whose node the host is.
    ///
    /// # Errors
    /// When a record on the host cannot be read, or the connection breaks.
    pub async fn belonging(&mut self) -> Result<Belonging, Failure> {
        match self.ask(&Request::Belonging).await? {
            Reply::Belonging { belonging } => Ok(belonging),
            other => Err(unexpected(&other)),
        }
    }

    /// Removes everything from this node of this cluster; returns what could not be removed, and what the
    /// site had changed and keeps. `extent` says what else is reset.
    ///
    /// # Errors
    /// When the host is another node, its cluster would lose its data, or the connection breaks.
    pub async fn reset(
        &mut self,
        cluster: &str,
        node: &str,
        extent: &Extent,
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let request = Request::Reset {
            cluster: cluster.into(),
            node: node.into(),
            extent: extent.clone(),
        };
        match self.ask(&request).await? {
            Reply::Leftovers { problems, kept } => Ok((problems, kept)),
            other => Err(unexpected(&other)),
        }
    }

    async fn done(&mut self, request: &Request) -> Result<usize, Failure> {
        match self.ask(request).await? {
            Reply::Done { changed } => Ok(changed),
            other => Err(unexpected(&other)),
        }
    }
}

/// The failures of single resources, in one.
pub fn failures(report: &Report) -> Option<Failure> {
    let failures = report.failures();
    let lines = failures
        .iter()
        .map(|(target, reason)| format!("{target}: {reason}"));
    let text = lines.collect::<Vec<_>>().join("\n");
    (!failures.is_empty()).then(|| Failure::machine(text))
}

/// Why an agent ended, by how it did.
fn last_words(exit: &Exit) -> String {
    match (exit.stderr.trim(), exit.status) {
        ("", None) => "the host stopped answering, or the agent on it was killed".into(),
        ("", Some(status)) => format!("the agent ended with status {status} and without a word"),
        (words, _) => words.into(),
    }
}

fn unexpected(reply: &Reply) -> Failure {
    let text = format!("{reply:?}");
    let name = text.split([' ', '{']).next().unwrap_or_default().to_owned();
    Failure::bug(format!(
        "the agent answered with {name} to another question"
    ))
}
