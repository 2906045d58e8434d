//! What the program says when it is given something wrong: whole outputs as golden files, exit codes, and
//! no host touched. `UPDATE_GOLDEN=1` rewrites them.

mod end;
mod readme;
mod servers;
mod site;

use ingot_bundle::testing::TestBundle;
use site::{GOOD, Site, complete};
use std::process::Command;

const BUNDLE: [&str; 4] = ["--bundle", "bundle", "--key", "vendor.pub"];

fn with<'a>(head: &[&'a str], tail: &[&'a str]) -> Vec<&'a str> {
    [head, tail].concat()
}

#[test]
fn the_description_of_the_cluster() {
    let site = Site::new();
    site.refuses(
        "config-missing",
        2,
        &with(&["bootstrap", "-c", "none.yaml"], &BUNDLE),
    );
    std::fs::write(
        site.at("bad.yaml"),
        GOOD.replace("roles: [control-plane, worker]", "role: master")
            .replace("site", "Site!"),
    )
    .unwrap();
    site.refuses(
        "config-wrong",
        2,
        &with(&["plan", "-c", "bad.yaml"], &BUNDLE),
    );
    site.refuses(
        "config-wrong-json",
        2,
        &with(&["bootstrap", "-c", "bad.yaml", "-o", "json"], &BUNDLE),
    );
    std::fs::write(
        site.at("nokey.yaml"),
        GOOD.replace("keyFile: key", "keyFile: lost"),
    )
    .unwrap();
    site.refuses(
        "key-file-missing",
        2,
        &with(&["bootstrap", "-c", "nokey.yaml"], &BUNDLE),
    );
}

#[test]
fn the_authorities_of_registries() {
    let site = Site::new();
    let registries = "spec:
  registries:
    - { host: a.example.org, caFile: ca.der }
    - { host: b.example.org, caFile: ca.pem }
";
    std::fs::write(site.at("ca.der"), "0\u{82}").unwrap();
    std::fs::write(site.at("ca.pem"), [0x30, 0x82, 0xff]).unwrap();
    std::fs::write(
        site.at("registries.yaml"),
        GOOD.replace("spec:\n", registries),
    )
    .unwrap();
    site.refuses(
        "registry-ca-wrong",
        2,
        &with(&["plan", "-c", "registries.yaml"], &BUNDLE),
    );
}

#[test]
fn the_bundle() {
    let site = Site::new();
    site.refuses(
        "bundle-missing",
        2,
        &["bootstrap", "--bundle", "none.iso", "--key", "vendor.pub"],
    );
    site.refuses(
        "no-trusted-key",
        2,
        &["bundle", "verify", "--bundle", "bundle"],
    );
    site.refuses(
        "trusted-key-missing",
        2,
        &[
            "bundle", "verify", "--bundle", "bundle", "--key", "none.pub",
        ],
    );
    site.refuses(
        "wrong-key",
        2,
        &["bootstrap", "--bundle", "bundle", "--key", "other.pub"],
    );
    std::fs::write(site.at("text.iso"), "not an image").unwrap();
    site.refuses(
        "not-a-bundle",
        2,
        &["bootstrap", "--bundle", "text.iso", "--key", "vendor.pub"],
    );
    std::fs::remove_file(site.at("bundle/bundle.json.minisig")).unwrap();
    site.refuses("unsigned", 2, &with(&["bootstrap"], &BUNDLE));
    site.refuses(
        "unsigned-json",
        2,
        &with(&["bundle", "verify", "-o", "json"], &BUNDLE),
    );
}

#[test]
fn a_bundle_that_is_not_for_this_cluster() {
    let site = Site::new();
    let replace = |bundle: TestBundle| {
        ingot_deletion::delete_tree(site.at("bundle").as_ref())
            .complete()
            .unwrap();
        std::fs::create_dir(site.at("bundle")).unwrap();
        bundle.write(&site.at("bundle"), &site.key).unwrap();
    };
    let mut incomplete = complete();
    incomplete
        .components
        .retain(|(name, _, _)| !["etcd", "kubelet"].contains(&name.as_str()));
    replace(incomplete);
    // Host 192.0.2.7 is never asked: the port it is reached at refuses, which would be exit code 3.
    for verb in ["bootstrap", "apply", "plan"] {
        site.refuses(
            &format!("component-missing-{verb}"),
            2,
            &with(&[verb], &BUNDLE),
        );
    }
    replace(TestBundle {
        architecture: "arm64".into(),
        ..complete()
    });
    site.refuses("wrong-architecture", 2, &with(&["bootstrap"], &BUNDLE));
    replace(complete());
    let path = site.at("bundle/bundle.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replacen("\"formatVersion\": 1", "\"formatVersion\": 99", 1);
    assert_ne!(text, newer, "the manifest says its format otherwise");
    std::fs::write(&path, &newer).unwrap();
    let signature = site.key.sign(newer.as_bytes()).unwrap();
    std::fs::write(site.at("bundle/bundle.json.minisig"), signature).unwrap();
    site.refuses("newer-format", 2, &with(&["bootstrap"], &BUNDLE));
}

#[test]
fn a_flipped_byte_in_the_table_of_contents() {
    let site = Site::new();
    let path = site.at("bundle/bundle.json");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(path, bytes).unwrap();
    site.refuses("flipped-byte", 2, &with(&["bootstrap"], &BUNDLE));
}

#[test]
fn the_command_line() {
    let site = Site::new();
    site.refuses(
        "reset-unconfirmed",
        2,
        &with(&["node", "reset", "n1"], &BUNDLE),
    );
    site.refuses(
        "reset-unknown-node",
        2,
        &with(&["node", "reset", "n2", "--yes"], &BUNDLE),
    );
    site.refuses("unknown-verb", 2, &["boostrap"]);
    for (case, option, value) in [
        ("days-none", "--days", "0"),
        ("days-too-many", "--days", "3000000"),
        ("user-empty", "--user", ""),
    ] {
        site.refuses(case, 2, &with(&["kubeconfig", option, value], &BUNDLE));
    }
    site.refuses(
        "timeout-endless",
        2,
        &with(
            &["bootstrap", "--ready-timeout", "18446744073709551615"],
            &BUNDLE,
        ),
    );
    site.refuses("unknown-option", 2, &with(&["apply", "--forse"], &BUNDLE));
}

#[test]
fn hosts_that_do_not_answer() {
    let site = Site::new();
    // Nothing listens on port 1 of this machine.
    site.refuses("ssh-refused", 3, &with(&["bootstrap"], &BUNDLE));
    site.refuses(
        "volume-no-control-plane",
        3,
        &with(&["volume", "list", "-o", "json"], &BUNDLE),
    );
    let unresolved = GOOD.replace("host: 127.0.0.1, port: 1", "host: no-such-host.invalid");
    std::fs::write(site.at("unresolved.yaml"), unresolved).unwrap();
    site.refuses(
        "name-unknown",
        3,
        &with(&["bootstrap", "-c", "unresolved.yaml"], &BUNDLE),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A server that accepts and says nothing.
    std::fs::write(
        site.at("silent.yaml"),
        GOOD.replace("port: 1", &format!("port: {port}")),
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ingot"))
        .args(with(
            &["bootstrap", "-c", "silent.yaml", "--connect-timeout", "1"],
            &BUNDLE,
        ))
        .current_dir(site.dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains(&format!("no answer from 127.0.0.1:{port} within 1 s")),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(3));
}
