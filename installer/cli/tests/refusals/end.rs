//! How runs end when nobody reads any more what they say.

use super::site::{GOOD, Site};
use super::{BUNDLE, with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

#[test]
fn a_run_whose_reader_is_gone_is_interrupted_like_any_other() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = GOOD.replace("port: 1 ", &format!("port: {port} "));
    std::fs::write(site.at("silent.yaml"), silent).unwrap();
    for output in ["text", "json"] {
        let journal = format!("{output}.jsonl");
        let words = with(
            &[
                "bootstrap",
                "-c",
                "silent.yaml",
                "-o",
                output,
                "--journal",
                &journal,
            ],
            &BUNDLE,
        );
        // `2>&1 | tee log`, and Ctrl-C ends tee as well.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut run = site
            .ingot(&words)
            .stdout(Stdio::from(writer.try_clone().unwrap()))
            .stderr(Stdio::from(writer))
            .spawn()
            .unwrap();
        // Once it has said who it is, it waits for the server, and for Ctrl-C.
        let (mut server, _) = listener.accept().unwrap();
        server.read_exact(&mut [0; 4]).unwrap();
        kill(Pid::from_raw(run.id() as i32), Signal::SIGINT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130), "{output}");
        let record = std::fs::read_to_string(site.at(&journal)).unwrap();
        let last = record.lines().last().unwrap();
        assert!(
            last.contains(r#""entry":"end""#) && last.contains(r#""exitCode":130"#),
            "{record}"
        );
    }
}

#[test]
fn data_that_nobody_reads_is_no_failure() {
    let site = Site::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut run = site.ingot(&["completion", "bash"]);
    let status = run.stdout(Stdio::from(writer)).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
