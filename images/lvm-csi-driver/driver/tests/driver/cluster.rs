//! A real API server with its etcd, from the bundle: two processes on this machine, no root needed.
//!
//! The bundle is what `INGOT_BUNDLE` names, and its key what `INGOT_TRUSTED_KEY` names, as the Makefile
//! has them. Without them there is no API server, and whoever asks for one is told so.

use ingot_bundle::{Bundle, TrustedKeys, VerifiedBundle};
use ingot_lvm_csi::store::kube::connect;
use serde_json::{Value, json};
use std::error::Error;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// For what takes seconds where nothing is wrong.
const SOON: Duration = Duration::from_secs(120);
const TOKEN: &str = "for-tests-only";

/// An API server and where it is.
pub struct Cluster {
    folder: tempfile::TempDir,
    client: kube::Client,
    programs: Vec<Child>,
}

/// The bundle, or why there is none.
fn bundle() -> Outcome<Result<VerifiedBundle, String>> {
    let named = |variable: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        path.filter(|path| path.exists())
            .ok_or_else(|| format!("{variable} names no file; `make bundle` makes one"))
    };
    let (path, key) = match (named("INGOT_BUNDLE"), named("INGOT_TRUSTED_KEY")) {
        (Ok(path), Ok(key)) => (path, key),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let keys = TrustedKeys::from_file(&key)?;
    Ok(Ok(Bundle::open(&path)?.verify_signature(&keys)?))
}

/// Takes one program out of a component.
fn unpack(bundle: &VerifiedBundle, component: &str, path: &str, to: &Path) -> Outcome {
    let found = bundle.component(component);
    let found = found.ok_or_else(|| format!("the bundle has no component {component}"))?;
    for layer in found.layers() {
        let layer = zstd::Decoder::new(bundle.blob(&layer.digest)?)?;
        for entry in tar::Archive::new(layer).entries()? {
            let mut entry = entry?;
            if entry.path()?.ends_with(path) && entry.header().entry_type().is_file() {
                entry.unpack(to)?;
                return Ok(());
            }
        }
    }
    Err(format!("component {component} has no {path}").into())
}

/// A port that nobody listens on.
fn port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Cluster {
    /// Starts it and waits until it is ready; nothing, with the reason on stderr, without a bundle.
    pub async fn start() -> Outcome<Option<Self>> {
        let bundle = match bundle()? {
            Ok(bundle) => bundle,
            Err(why) => {
                eprintln!("skipped: no API server: {why}");
                return Ok(None);
            }
        };
        let folder = tempfile::tempdir()?;
        let place = |name: &str| folder.path().join(name);
        let (etcd, server) = (place("etcd"), place("kube-apiserver"));
        unpack(&bundle, "etcd", "usr/local/bin/etcd", &etcd)?;
        // One program for all of Kubernetes, which looks at the name that it is started by.
        unpack(&bundle, "kube-apiserver", "kubelet", &server)?;
        let (clients, peers, secure) = (port()?, port()?, port()?);
        fs::write(place("tokens"), format!("{TOKEN},admin,1,system:masters\n"))?;
        let key = rcgen::KeyPair::generate()?;
        fs::write(place("accounts.key"), key.serialize_pem())?;
        fs::write(place("accounts.pub"), key.public_key_pem())?;
        fs::write(place("kubeconfig"), kubeconfig(secure))?;
        let client = connect(Some(&place("kubeconfig"))).await?;
        let shown = |name: &str| place(name).display().to_string();
        let mut programs = Vec::new();
        let mut start = |program: &Path, name: &str, words: &[String]| -> Outcome {
            let log = File::create(place(name))?;
            let mut command = Command::new(program);
            let child = command.args(words).stdout(log.try_clone()?).stderr(log);
            programs.push(child.spawn()?);
            Ok(())
        };
        start(
            &etcd,
            "etcd.log",
            &[
                format!("--data-dir={}", shown("etcd.data")),
                format!("--listen-client-urls=http://127.0.0.1:{clients}"),
                format!("--advertise-client-urls=http://127.0.0.1:{clients}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peers}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peers}"),
                "--unsafe-no-fsync".into(),
            ],
        )?;
        start(
            &server,
            "server.log",
            &[
                format!("--etcd-servers=http://127.0.0.1:{clients}"),
                "--bind-address=127.0.0.1".into(),
                format!("--secure-port={secure}"),
                format!("--cert-dir={}", shown("certificates")),
                format!("--token-auth-file={}", shown("tokens")),
                "--authorization-mode=RBAC".into(),
                "--service-cluster-ip-range=10.96.0.0/16".into(),
                "--service-account-issuer=https://kubernetes.default.svc".into(),
                format!("--service-account-key-file={}", shown("accounts.pub")),
                format!(
                    "--service-account-signing-key-file={}",
                    shown("accounts.key")
                ),
                "--endpoint-reconciler-type=none".into(),
            ],
        )?;
        let mut cluster = Self {
            folder,
            client,
            programs,
        };
        cluster.until_ready().await?;
        Ok(Some(cluster))
    }

    /// How it is reached.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    async fn until_ready(&mut self) -> Outcome {
        let end = Instant::now() + SOON;
        loop {
            let asked = http::Request::get("/readyz").body(Vec::new())?;
            let last = match self.client.request_text(asked).await {
                Ok(_) => return Ok(()),
                Err(error) => error.to_string(),
            };
            for program in &mut self.programs {
                if let Some(status) = program.try_wait()? {
                    return Err(format!("{status}\n{}", self.logs()).into());
                }
            }
            if Instant::now() >= end {
                return Err(format!("not ready: {last}\n{}", self.logs()).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The last words of both.
    fn logs(&self) -> String {
        let last = |name: &str| {
            let text = fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        format!("{}\n{}", last("etcd.log"), last("server.log"))
    }

    /// Sends a request and gives the answer.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Outcome<Value> {
        let request = http::Request::builder().method(method).uri(path);
        let request = request
            .header("content-type", "application/json")
            .body(match body {
                Value::Null => Vec::new(),
                body => serde_json::to_vec(body)?,
            })?;
        Ok(self.client.request(request).await?)
    }

    /// Applies the definitions of our objects and waits until they are served.
    pub async fn define(&self) -> Outcome<usize> {
        const ALL: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        let mut count = 0;
        for entry in fs::read_dir(crds)? {
            let text = fs::read_to_string(entry?.path())?;
            let definition: Value = serde_yaml::from_str(&text)?;
            let name = definition["metadata"]["name"].as_str().unwrap_or_default();
            self.ask("POST", ALL, &definition).await?;
            let end = Instant::now() + SOON;
            loop {
                let now = self
                    .ask("GET", &format!("{ALL}/{name}"), &Value::Null)
                    .await?;
                let conditions = now["status"]["conditions"].as_array();
                let is = |condition: &Value, kind: &str, status: &str| {
                    condition["type"] == kind && condition["status"] == status
                };
                let all = conditions.map(Vec::as_slice).unwrap_or_default();
                // A schema that it takes and does not like is told so here.
                if let Some(wrong) = all.iter().find(|c| is(c, "NonStructuralSchema", "True")) {
                    return Err(format!("{name}: {wrong}").into());
                }
                if all
                    .iter()
                    .any(|condition| is(condition, "Established", "True"))
                {
                    break;
                }
                if Instant::now() >= end {
                    return Err(format!("{name} is not served: {now}").into());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Gives a node its configuration.
    pub async fn configure(&self, node: &str, spec: &Value) -> Outcome {
        let object = json!({
            "apiVersion": "storage.ingot.dev/v1alpha1",
            "kind": "StorageNode",
            "metadata": { "name": node },
            "spec": spec,
        });
        let path = "/apis/storage.ingot.dev/v1alpha1/storagenodes";
        self.ask("POST", path, &object).await.map(drop)
    }

    /// The objects of a kind.
    pub async fn list(&self, plural: &str) -> Outcome<Vec<Value>> {
        let path = format!("/apis/storage.ingot.dev/v1alpha1/{plural}");
        let list = self.ask("GET", &path, &Value::Null).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for program in self.programs.iter_mut().rev() {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{ name: test, context: {{ cluster: test, user: admin }} }}]
users: [{{ name: admin, user: {{ token: {TOKEN} }} }}]
clusters:
  - name: test
    cluster: {{ server: 'https://127.0.0.1:{port}', insecure-skip-tls-verify: true }}
"
    )
}
