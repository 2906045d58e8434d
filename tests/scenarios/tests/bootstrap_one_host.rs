//! One bare host becomes a cluster that works, survives a reboot, and can be taken back.
//!
//! Boots hosts of its own and destroys nothing else; runs only with INGOT_HOST_TESTS=1.

use std::time::Duration;

use ingot_harness::Host;
use ingot_scenarios::cluster::{ALONE, Cluster};
use ingot_scenarios::leftovers::HostState;
use ingot_scenarios::{Kubectl, Stage, air_gap, wait, workload};

#[test]
fn bootstrap_one_host() {
    let Some(stage) = Stage::take() else { return };
    let cluster = Cluster::bare(&stage, "one", ALONE);
    let host = cluster.host("alone");
    // The site prepared some of the directories, say to mount disks there.
    shell(
        &host,
        "mkdir -p /etc/cni/net.d && mkdir -m 0711 /var/lib/etcd /var/lib/containerd",
    );
    let bare = HostState::of(&host);
    air_gap::no_way_out(&host);

    cluster.ingot(&["bootstrap"]).succeeded();
    let kubectl = cluster.kubectl();
    kubectl.nodes_are_ready(&["alone"], Duration::from_secs(1));

    no_secret_is_open_to_others(&host);

    let image = workload::image(&air_gap::bundle(&stage));
    let pod = workload::echo_on_every_node(&kubectl, &image, 1)
        .remove(0)
        .0;
    air_gap::no_way_out(&host);
    air_gap::images_come_from_the_bundle(&cluster, &kubectl);
    the_pod_works(&kubectl, &pod);
    cluster.applying_again_changes_nothing();
    a_pod_that_does_not_start_is_told(&cluster, &kubectl);

    let boot = |kubectl: &Kubectl| {
        let node = kubectl.json(&["get", "node", "alone", "--request-timeout=5s"])?;
        Ok::<_, String>(node["status"]["nodeInfo"]["bootID"].to_string())
    };
    let before = boot(&kubectl).expect("the node");
    host.reboot().expect("a reboot");
    let (_, took) = wait::until(
        "the node reports its new boot",
        Duration::from_secs(150),
        || {
            let now = boot(&kubectl)?;
            if now == before {
                Err(format!("boot {now} is the one before"))
            } else {
                Ok(())
            }
        },
    );
    println!(
        "  the API server answers and the node reports {:.1} s after sshd",
        took.as_secs_f64()
    );
    kubectl.nodes_are_ready(&["alone"], Duration::from_secs(60));
    wait::until("the pod works again", Duration::from_secs(90), || {
        works(&kubectl, &pod)
    });
    the_pod_works(&kubectl, &pod);
    kubectl.pods_are_ready("app.kubernetes.io/name=coredns", 1);
    cluster.applying_again_changes_nothing();

    cluster.a_reset_leaves_nothing(&host, &bare);
}

/// The site gives CoreDNS a container that ends; `apply` does not call that ready, and has its words.
fn a_pod_that_does_not_start_is_told(cluster: &Cluster<'_>, kubectl: &Kubectl) {
    let coredns = |words: &[&str]| {
        let all = [&["-n", "kube-system"][..], words].concat();
        kubectl.ok(&all)
    };
    let image = coredns(&[
        "get",
        "deployment",
        "coredns",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].image}",
    ]);
    let patch = |containers: &str| {
        let patch =
            format!(r#"{{"spec":{{"template":{{"spec":{{"initContainers":{containers}}}}}}}}}"#);
        coredns(&[
            "patch",
            "deployment",
            "coredns",
            "--type=merge",
            "-p",
            &patch,
        ]);
    };
    patch(&format!(
        r#"[{{"name":"site","image":"{image}","imagePullPolicy":"IfNotPresent","args":["-conf","/nowhere"]}}]"#
    ));
    let told = cluster
        .ingot(&["apply", "--ready-timeout", "20"])
        .ended_with(3)
        .transcript();
    for words in ["pod kube-system/coredns-", "container site: ", "/nowhere"] {
        assert!(told.contains(words), "`{words}` is missing: {told}");
    }
    patch("null");
    cluster.ingot(&["apply"]).succeeded();
}

fn shell(host: &Host, script: &str) -> String {
    let output = host.exec(&["sh", "-c", script]).expect("a shell");
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Private keys and the key of encryption at rest are in files that only root reads.
fn no_secret_is_open_to_others(host: &Host) {
    let secrets = "find /etc/kubernetes /etc/containerd /var/lib/ingot /var/lib/kubelet -xdev -type f \
        -exec grep -lIE -e 'PRIVATE KEY-----|client-key-data:|^ +secret: ' {} + | sort";
    let found = shell(host, secrets);
    for name in ["ca.key", "sa.key", "etcd/ca.key", "encryption.yaml"] {
        let path = format!("/etc/kubernetes/pki/{name}");
        assert!(found.lines().any(|line| line == path), "no {path}: {found}");
    }
    for path in found.lines() {
        let mode = shell(host, &format!("stat -c '%a %U' '{path}'"));
        assert_eq!(mode, "600 root", "{path}");
    }
}

fn works(kubectl: &Kubectl, pod: &str) -> Result<(), String> {
    let seen = workload::answers(kubectl, pod, 1)?;
    if seen == ["alone"] {
        Ok(())
    } else {
        Err(format!("{seen:?} answered"))
    }
}

/// The pod resolves names of Services, reaches one, and shows its log.
fn the_pod_works(kubectl: &Kubectl, pod: &str) {
    works(kubectl, pod).unwrap_or_else(|reason| panic!("{reason}"));
    let name = "kubernetes.default.svc.cluster.local";
    let resolved = kubectl.shell(pod, &format!("/usr/bin/getent hosts {name}"));
    assert_eq!(
        resolved.map(|text| text.trim().replace("       ", " ")),
        Ok(format!("10.96.0.1 {name}"))
    );
    let log = kubectl.ok(&["-n", "kube-system", "logs", pod]);
    assert_eq!(log.trim(), "listening on alone");
}
