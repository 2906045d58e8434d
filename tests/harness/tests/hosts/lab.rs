//! Labs of these tests, and looks at their hosts.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use ingot_harness::{Host, HostSpec, Lab, LabSpec, Lifetime, RootVariant};

/// Whether to run; says so loudly if not. Not with `eprintln!`, which the test runner swallows.
pub fn asked_for() -> bool {
    let asked = std::env::var_os("INGOT_HOST_TESTS").is_some();
    if !asked {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "not run: {test} boots hosts; set INGOT_HOST_TESTS=1 and run it as root"
        );
    }
    asked
}

pub fn unique(word: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "t{}-{}-{word}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

pub fn lab(word: &str, bridges: u8) -> Lab {
    let spec = LabSpec {
        name: unique(word),
        lifetime: Lifetime::Process,
        bridges,
    };
    Lab::create(spec, &|_| {}).unwrap()
}

pub fn spec(name: &str) -> HostSpec {
    HostSpec {
        name: name.into(),
        variant: RootVariant::Minimal,
        cpus: None,
        memory: None,
    }
}

pub fn out(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn succeeds(host: &Host, script: &str) -> bool {
    host.exec(&["bash", "-c", script]).unwrap().status.success()
}

/// The ssh of the machine, with the lab's key and its known_hosts enforced.
pub fn ssh(lab: &Lab, user: &str, host: &Host, script: &str, input: &str) -> Output {
    let driver = lab.driver_dir();
    let mut command = Command::new("ssh");
    command
        .arg("-F/dev/null")
        .arg("-i")
        .arg(driver.join("id_ed25519"))
        .arg("-o")
        .arg(format!(
            "UserKnownHostsFile={}",
            driver.join("known_hosts").display()
        ))
        .args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=20",
        ])
        .args(["-p", &host.ssh_port().to_string()])
        .arg(format!("{user}@{}", host.address()))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    lab.enter(&mut command).unwrap();
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// Whether `from` opens a TCP connection to the SSH port of `to`.
pub fn reaches(from: &Host, to: &Host) -> bool {
    let script = format!("timeout 3 bash -c '</dev/tcp/{}/22'", to.address());
    succeeds(from, &script)
}
