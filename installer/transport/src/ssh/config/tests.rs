use super::*;

struct Files(tempfile::TempDir);

impl Files {
    fn with(own: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.add(".ssh/config", own);
        files
    }

    fn add(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn config(&self) -> SshConfig {
        let home = self.0.path().to_owned();
        SshConfig {
            own: Some(home.join(".ssh/config")),
            system: Some(home.join("system")),
            user: "anna".into(),
            home,
        }
    }

    fn of(&self, host: &str) -> HostConfig {
        self.config().of(host, None, None)
    }
}

#[test]
fn the_first_value_counts_and_keys_add_up() {
    let files = Files::with(
        "Port 2200\n\
         Host cp* !cp9\n  User first\n  User second\n  IdentityFile ~/.ssh/one\n  AddKeysToAgent confirm\n\
         Host cp1\n  User later\n  HostName 10.0.0.1\n  Port 22\n\
         Host *\n  IdentityFile ~/.ssh/two\n  IdentitiesOnly yes\n  CertificateFile %d/cert\n",
    );
    let home = files.0.path();
    let cp1 = files.of("cp1");
    assert_eq!(cp1.user.as_deref(), Some("first"));
    assert_eq!(cp1.port, Some(2200));
    assert_eq!(cp1.host_name.as_deref(), Some("10.0.0.1"));
    assert_eq!(
        cp1.identity_files,
        [home.join(".ssh/one"), home.join(".ssh/two")]
    );
    assert_eq!(cp1.certificate_files, [home.join("cert")]);
    assert!(cp1.identities_only);
    let cp9 = files.of("cp9");
    assert_eq!((cp9.user, cp9.identity_files.len()), (None, 1));
}

#[test]
fn what_the_system_says_comes_last() {
    let files = Files::with("Host a\n  User own\n");
    files.add("system", "Host *\n  User of-the-system\n  Port 23\n");
    assert_eq!(files.of("a").user.as_deref(), Some("own"));
    assert_eq!(files.of("a").port, Some(23));
    assert_eq!(files.of("b").user.as_deref(), Some("of-the-system"));
    let nothing = SshConfig::default().of("a", None, None);
    assert_eq!(nothing, HostConfig::default());
}

#[test]
fn included_files_belong_to_the_block_that_includes_them() {
    let files = Files::with(
        "Include config.d/*.conf\nHost a\n  Include only-a\n  Port 1\nHost *\n  Include ~/.ssh/all\n",
    );
    files.add(".ssh/config.d/10-x.conf", "Host x\n  User ten\n");
    files.add(".ssh/config.d/20-x.conf", "Host x\n  User twenty\n");
    files.add(".ssh/config.d/30-x.off", "Host x\n  Port 9\n");
    files.add(".ssh/only-a", "User alice\nHost b\n  User never\n");
    files.add(".ssh/all", "Host b\n  User bob\n");
    assert_eq!(files.of("x").user.as_deref(), Some("ten"));
    assert_eq!(files.of("x").port, None);
    assert_eq!(files.of("a").user.as_deref(), Some("alice"));
    // The block goes on behind the file that it includes.
    assert_eq!(files.of("a").port, Some(1));
    assert_eq!(files.of("b").user.as_deref(), Some("bob"));
    // One that includes itself ends.
    files.add(".ssh/config", "Include config\nUser end\n");
    assert_eq!(files.of("a").user.as_deref(), Some("end"));
}

#[test]
fn match_lines_are_heeded_and_those_that_are_not_understood_do_not_apply() {
    let files = Files::with(
        "Host cp1\n  HostName cp1.site\n\
         Match host *.site user !root,*\n  Port 1\n\
         Match originalhost cp2 localuser anna\n  Port 2\n\
         Match exec \"test -e /x\"\n  Port 3\n\
         Match !host cp1.site all\n  User other\n",
    );
    assert_eq!(files.of("cp1").port, Some(1));
    let as_root = files.config().of("cp1", Some("root"), None);
    assert_eq!(as_root.port, None);
    assert_eq!(files.of("cp2").port, Some(2));
    assert_eq!(files.of("cp3").port, None);
    assert_eq!(files.of("cp3").unread, ["Match exec"]);
    assert_eq!(files.of("cp3").user.as_deref(), Some("other"));
    assert_eq!(files.of("cp1").user, None);
}

#[test]
fn ways_to_a_host_are_told_apart() {
    let files = Files::with(
        "Host direct\n  ProxyJump none\n\
         Host one\n  ProxyJump jump\n  ProxyCommand nc %h %p\n\
         Host two\n  ProxyJump admin@first:2222,ssh://second,[fd00::1]:23\n\
         Host command\n  ProxyCommand nc %h %p\n  ProxyJump jump\n\
         Host off\n  ProxyCommand none\n",
    );
    let jump = |host: &str, user: Option<&str>, port| JumpHost {
        host: host.into(),
        user: user.map(str::to_owned),
        port,
    };
    assert_eq!(files.of("direct").proxy, Some(Proxy::None));
    assert_eq!(files.of("off").proxy, Some(Proxy::None));
    assert_eq!(files.of("command").proxy, Some(Proxy::Command));
    assert_eq!(
        files.of("one").proxy,
        Some(Proxy::Jump(vec![jump("jump", None, None)]))
    );
    assert_eq!(
        files.of("two").proxy,
        Some(Proxy::Jump(vec![
            jump("first", Some("admin"), Some(2222)),
            jump("second", None, None),
            jump("fd00::1", None, Some(23)),
        ]))
    );
    assert_eq!(files.of("nowhere").proxy, None);
}

#[test]
fn marks_in_paths_are_filled_in() {
    let files = Files::with(
        "Host *\n  HostName %h.site\n  IdentityFile ~/keys/%r@%h:%p-%n-%u-100%%\n  UserKnownHostsFile ~/one %d/two\n  IdentityAgent ~/agent\n  HostKeyAlias alias\n",
    );
    let home = files.0.path();
    let config = files.config().of("cp1", Some("root"), Some(23));
    assert_eq!(config.host_name.as_deref(), Some("cp1.site"));
    assert_eq!(
        config.identity_files,
        [home.join("keys/root@cp1.site:23-cp1-anna-100%")]
    );
    assert_eq!(config.known_hosts, [home.join("one"), home.join("two")]);
    assert_eq!(
        config.identity_agent,
        Some(IdentityAgent::Socket(home.join("agent")))
    );
    assert_eq!(config.host_key_alias.as_deref(), Some("alias"));
    files.add(".ssh/config", "IdentityAgent none\nIdentityFile none\n");
    assert_eq!(files.of("x").identity_agent, Some(IdentityAgent::None));
    assert!(files.of("x").identity_files.is_empty());
}

#[test]
fn openssh_reads_the_same() {
    let files = Files::with(
        "Port 2200\n\
         Host cp* !cp9\n  User first\n  User second\n  IdentitiesOnly yes\n\
         Host cp1\n  HostName=%h.site\n  Port 22\n  HostKeyAlias \"an alias\"\n\
         Match host *.site originalhost cp1,cp2\n  ProxyJump admin@jump:2222\n\
         Host cp2 \"cp3\" # and others\n  ProxyJump none\n  HostName 10.0.0.2\n\
         Match user first !host cp1.site\n  ProxyJump fallback\n\
         Match all\n  User last\n",
    );
    let file = files.0.path().join(".ssh/config");
    for host in ["cp1", "cp2", "cp3", "cp9", "other", "CP1"] {
        let output = std::process::Command::new("ssh")
            .arg("-F")
            .arg(&file)
            .args(["-G", host])
            .output()
            .expect("ssh of openssh-client");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs = |keyword: &str| {
            let value = text.lines().find_map(|line| {
                let (name, value) = line.split_once(' ')?;
                (name == keyword).then(|| value.to_owned())
            });
            value.unwrap_or_default()
        };
        let ours = files.of(host);
        assert_eq!(ours.user.unwrap_or_default(), theirs("user"), "{host}");
        assert_eq!(
            ours.port.unwrap_or(22).to_string(),
            theirs("port"),
            "{host}"
        );
        let name = ours.host_name.unwrap_or_else(|| host.to_lowercase());
        assert_eq!(name.to_lowercase(), theirs("hostname"), "{host}");
        let yes = if ours.identities_only { "yes" } else { "no" };
        assert_eq!(yes, theirs("identitiesonly"), "{host}");
        assert_eq!(
            ours.host_key_alias.unwrap_or_default(),
            theirs("hostkeyalias"),
            "{host}"
        );
        let jump = match ours.proxy {
            Some(Proxy::Jump(hosts)) => {
                let JumpHost { host, user, port } = &hosts[0];
                let user = user.as_ref().map(|user| format!("{user}@"));
                let port = port.map(|port| format!(":{port}"));
                format!(
                    "{}{host}{}",
                    user.unwrap_or_default(),
                    port.unwrap_or_default()
                )
            }
            _ => String::new(),
        };
        assert_eq!(jump, theirs("proxyjump"), "{host}");
    }
}
