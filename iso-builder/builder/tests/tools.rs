//! The program as a whole, judged by standard tools: minisign, skopeo, xorriso, a registry.
//!
//! Opt-in with `INGOT_TOOL_TESTS=1`: these build small bundles, so they need Go, Rust, network
//! to the package registries, and minutes. They touch nothing outside their own directories
//! and the caches of go and cargo, and end the registry they start.

use std::error::Error;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

type Outcome = Result<(), Box<dyn Error>>;

fn wanted() -> bool {
    let wanted = std::env::var_os("INGOT_TOOL_TESTS").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("skipped: set INGOT_TOOL_TESTS=1 to run it");
    }
    wanted
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a program that must succeed and returns what it printed.
fn succeed(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed\n{}", text(&output)).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A directory with a cache and a key of its own.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Result<Self, Box<dyn Error>> {
        let bench = Self {
            folder: tempfile::tempdir()?,
        };
        succeed(bench.builder().arg("keygen").arg(bench.path("test")))?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn builder(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iso-builder"));
        command
            .env("INGOT_CACHE", self.path("cache"))
            .current_dir(workspace());
        command
    }

    fn build(&self, catalog: &Path, image: &Path) -> Result<Output, Box<dyn Error>> {
        let mut command = self.builder();
        command
            .arg("build")
            .arg("--catalog")
            .arg(catalog)
            .arg("--output")
            .arg(image);
        Ok(command.arg("--key").arg(self.path("test.key")).output()?)
    }

    fn verb(&self, words: &[&str], image: &Path) -> Command {
        let mut command = self.builder();
        command
            .args(words)
            .arg(image)
            .arg("--trust")
            .arg(self.path("test.pub"));
        command
    }
}

#[test]
fn standard_tools_agree() -> Outcome {
    if !wanted() {
        return Ok(());
    }
    let bench = Bench::new()?;
    let image = bench.path("small.iso");
    let catalog = workspace().join("images/catalog-small.yaml");
    let built = bench.build(&catalog, &image)?;
    assert!(built.status.success(), "{}", text(&built));
    succeed(&mut bench.verb(&["verify"], &image))?;

    // An unchanged build does no work and leaves the file alone.
    let before = fs::metadata(&image)?.modified()?;
    let again = bench.build(&catalog, &image)?;
    assert!(text(&again).contains("is up to date"), "{}", text(&again));
    assert_eq!(fs::metadata(&image)?.modified()?, before);

    // A damaged image and a damaged cache entry are both noticed and mended.
    let whole = fs::read(&image)?;
    fs::write(&image, &whole[..whole.len() - 5000])?;
    let mended = bench.build(&catalog, &image)?;
    assert!(
        text(&mended).contains("4 of 4 components are cached"),
        "{}",
        text(&mended)
    );
    assert_eq!(fs::read(&image)?, whole);
    let blob = fs::read_dir(bench.path("cache/blobs"))?
        .filter_map(Result::ok)
        .max_by_key(|entry| entry.metadata().map_or(0, |data| data.len()))
        .ok_or("the cache has blobs")?;
    fs::write(blob.path(), "damaged")?;
    fs::remove_file(&image)?;
    let mended = bench.build(&catalog, &image)?;
    assert!(
        text(&mended).contains("3 of 4 components are cached"),
        "{}",
        text(&mended)
    );
    assert_eq!(fs::read(&image)?, whole);

    let listing = succeed(
        Command::new("xorriso")
            .args(["-indev"])
            .arg(&image)
            .args(["-find", "/", "-type", "f"]),
    )?;
    assert!(listing.contains("'/bundle.json.minisig'"), "{listing}");

    let root = bench.path("root");
    succeed(
        Command::new("xorriso")
            .args(["-osirrox", "on", "-indev"])
            .arg(&image)
            .args(["-extract", "/"])
            .arg(&root),
    )?;
    let verified = succeed(
        Command::new("minisign")
            .args(["-V", "-p"])
            .arg(bench.path("test.pub"))
            .arg("-m")
            .arg(root.join("bundle.json")),
    )?;
    assert!(
        verified.contains("Signature and comment signature verified"),
        "{verified}"
    );
    succeed(&mut bench.verb(&["verify"], &root))?;

    let reference = format!("oci:{}:haproxy:2.6.12", root.display());
    let facts = succeed(Command::new("skopeo").args(["inspect", &reference]))?;
    assert!(facts.contains("\"Architecture\": \"amd64\""), "{facts}");
    let copy = bench.path("copy");
    succeed(
        Command::new("skopeo")
            .args(["copy", "-q", &reference])
            .arg(format!("dir:{}", copy.display())),
    )?;
    assert!(copy.join("manifest.json").exists());

    let to = bench.path("files");
    let mut extract = bench.verb(&["extract"], &image);
    succeed(extract.arg("runc").arg("--to").arg(&to))?;
    let version = succeed(Command::new(to.join("runc")).arg("--version"))?;
    assert!(version.contains("libseccomp"), "{version}");
    Ok(())
}

#[test]
fn two_builds_give_the_same_bytes() -> Outcome {
    if !wanted() {
        return Ok(());
    }
    let bench = Bench::new()?;
    let said =
        succeed(
            bench
                .builder()
                .args(["reproduce", "--catalog", "images/catalog-small.yaml"]),
        )?;
    assert!(said.contains("the same, byte for byte"), "{said}");
    Ok(())
}

/// A registry that ends with the test.
struct Registry {
    child: Child,
    address: String,
}

impl Registry {
    /// Compiles the reference implementation from its module and starts it.
    fn start(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let program = folder.join("registry");
        succeed(
            Command::new("go")
                .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registry"))
                .env("GOFLAGS", "-mod=readonly")
                .env("CGO_ENABLED", "0")
                .args(["build", "-o"])
                .arg(&program)
                .arg("github.com/distribution/distribution/v3/cmd/registry"),
        )?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = folder.join("registry.yaml");
        let data = folder.join("registry-data");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
                 http: {{addr: \"{address}\"}}\n",
                data.display()
            ),
        )?;
        let child = Command::new(program).arg("serve").arg(&config).spawn()?;
        let registry = Self { child, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&registry.address).is_err() {
            if Instant::now() > deadline {
                return Err("the registry does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_image_of_a_registry_is_pulled_by_digest() -> Outcome {
    if !wanted() {
        return Ok(());
    }
    let bench = Bench::new()?;
    let registry = Registry::start(bench.folder.path())?;

    // The image to pull: one that this builder made, with layers as another tool stores them.
    let small = bench.path("small.iso");
    let built = bench.build(&workspace().join("images/catalog-small.yaml"), &small)?;
    assert!(built.status.success(), "{}", text(&built));
    let root = bench.path("root");
    succeed(
        Command::new("xorriso")
            .args(["-osirrox", "on", "-indev"])
            .arg(&small)
            .args(["-extract", "/"])
            .arg(&root),
    )?;
    let remote = format!("{}/vendor/pause:1.0", registry.address);
    let digest_file = bench.path("digest");
    // In two steps: skopeo 1.9 cannot turn zstd into Docker's gzip at once.
    let plain = format!("dir:{}", bench.path("plain").display());
    succeed(
        Command::new("skopeo")
            .args(["copy", "-q", "--dest-decompress"])
            .arg(format!("oci:{}:pause:0.1.0", root.display()))
            .arg(&plain),
    )?;
    succeed(
        Command::new("skopeo")
            .args([
                "copy",
                "-q",
                "--dest-tls-verify=false",
                "--format",
                "v2s2",
                "--digestfile",
            ])
            .arg(&digest_file)
            .arg(&plain)
            .arg(format!("docker://{remote}")),
    )?;
    let digest = fs::read_to_string(&digest_file)?;

    let images = bench.path("images");
    write_vendor_catalog(&images, &remote, digest.trim())?;
    let image = bench.path("vendor.iso");
    let built = bench.build(&images.join("catalog.yaml"), &image)?;
    assert!(built.status.success(), "{}", text(&built));
    succeed(&mut bench.verb(&["verify"], &image))?;
    let listing = succeed(&mut bench.verb(&["inspect", "-o", "json"], &image))?;
    assert!(
        listing.contains("\"source\": \"oci\"") && listing.contains(digest.trim()),
        "{listing}"
    );

    // What the registry has under another digest is refused, and so is what it lacks.
    let absent = format!("sha256:{}", "0".repeat(64));
    write_vendor_catalog(&images, &remote, &absent)?;
    let refused = bench.build(&images.join("catalog.yaml"), &image)?;
    let words = text(&refused).replace(&registry.address, "REGISTRY");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        words.contains(&format!(
            "http://REGISTRY/v2/vendor/pause/manifests/{absent} answered 404 for {absent}; is the \
             image there, and open to everyone?"
        )),
        "{words}"
    );
    Ok(())
}

fn write_vendor_catalog(images: &Path, reference: &str, digest: &str) -> Outcome {
    fs::create_dir_all(images.join("vendor-pause"))?;
    fs::create_dir_all(images.join("trains"))?;
    fs::write(images.join("Cargo.lock"), "")?;
    fs::write(
        images.join("catalog.yaml"),
        "formatVersion: 1\nproduct: test\nversion: 0.0.1\ncreated: 2026-11-01T00:00:00Z\n\
         architecture: amd64\nkubernetes: 1.36.3\ncomponents: [vendor-pause]\n",
    )?;
    fs::write(
        images.join("vendor-pause/component.yaml"),
        format!(
            "description: A vendor's image.\nlicence: Apache-2.0\nkind: image\nversion: oci:1.0\n\
             sources:\n  - oci:\n      reference: {reference}\n      digest: {digest}\n"
        ),
    )?;
    Ok(())
}
