//! The tools of shadow-utils, mount and dpkg, as far as the engine uses them, on the files of a
//! directory that stands for a host. What they do not do, they refuse.

use ingot_engine::system::CommandOutput;
use std::path::Path;

fn read(root: &Path, name: &str) -> String {
    std::fs::read_to_string(root.join(name)).unwrap_or_default()
}

fn write(root: &Path, name: &str, text: String) {
    std::fs::write(root.join(name), text).unwrap();
}

/// The value after an option.
fn option<'a>(args: &[&'a str], name: &str) -> Option<&'a str> {
    let at = args.iter().position(|arg| *arg == name)?;
    args.get(at + 1).copied()
}

/// The lines of a table whose first field is not `name`.
fn without(table: &str, name: &str) -> String {
    let keep = |line: &&str| line.split(':').next() != Some(name);
    table
        .lines()
        .filter(keep)
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn gid_of(root: &Path, group: &str) -> Option<String> {
    let table = read(root, "etc/group");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields[0] == group || fields[2] == group).then(|| fields[2].to_owned())
    })
}

/// Makes `user` a member of `groups`, and of no others unless `append`.
fn join(root: &Path, user: &str, groups: &str, append: bool) {
    let wanted: Vec<&str> = groups
        .split(',')
        .filter(|group| !group.is_empty())
        .collect();
    let table = read(root, "etc/group");
    let lines = table.lines().map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let mut members: Vec<&str> = fields[3].split(',').filter(|m| !m.is_empty()).collect();
        let is_member = members.contains(&user);
        if wanted.contains(&fields[0]) && !is_member {
            members.push(user);
        } else if !wanted.contains(&fields[0]) && is_member && !append {
            members.retain(|member| *member != user);
        }
        format!("{}:x:{}:{}\n", fields[0], fields[2], members.join(","))
    });
    write(root, "etc/group", lines.collect());
}

fn account(root: &Path, tool: &str, args: &[&str]) -> Result<(), String> {
    let name = *args.last().unwrap();
    let (users, groups) = (read(root, "etc/passwd"), read(root, "etc/group"));
    let exists = |table: &str| without(table, name).len() != table.len();
    match tool {
        "groupadd" if exists(&groups) => Err("it exists".into()),
        "groupadd" => {
            let gid = option(args, "--gid").unwrap_or("990");
            write(root, "etc/group", format!("{groups}{name}:x:{gid}:\n"));
            Ok(())
        }
        "groupdel" if !exists(&groups) => Err("it does not exist".into()),
        "groupdel" => {
            write(root, "etc/group", without(&groups, name));
            Ok(())
        }
        "useradd" if exists(&users) => Err("it exists".into()),
        "useradd" => {
            let gid = gid_of(root, option(args, "--gid").unwrap()).ok_or("no such group")?;
            let uid = option(args, "--uid").unwrap_or("990");
            let home = option(args, "--home-dir").unwrap();
            let shell = option(args, "--shell").unwrap();
            let line = format!("{users}{name}:x:{uid}:{gid}::{home}:{shell}\n");
            write(root, "etc/passwd", line);
            join(
                root,
                name,
                option(args, "--groups").unwrap_or_default(),
                true,
            );
            Ok(())
        }
        "usermod" => {
            let gid = gid_of(root, option(args, "--gid").unwrap()).ok_or("no such group")?;
            let (home, shell) = (option(args, "--home"), option(args, "--shell"));
            let lines = users.lines().map(|line| {
                let fields: Vec<&str> = line.split(':').collect();
                if fields[0] != name {
                    return format!("{line}\n");
                }
                let (home, shell) = (home.unwrap(), shell.unwrap());
                format!("{name}:x:{}:{gid}::{home}:{shell}\n", fields[2])
            });
            write(root, "etc/passwd", lines.collect());
            if let Some(groups) = option(args, "--groups") {
                join(root, name, groups, args.contains(&"--append"));
            }
            Ok(())
        }
        _ if !exists(&users) => Err("it does not exist".into()),
        _ => {
            write(root, "etc/passwd", without(&users, name));
            join(root, name, "", false);
            // As USERGROUPS_ENAB of login.defs(5) has it.
            write(root, "etc/group", without(&read(root, "etc/group"), name));
            Ok(())
        }
    }
}

/// A path as the kernel writes it to /proc/mounts.
fn shown(path: &str) -> String {
    path.replace(' ', "\\040")
}

fn mount(root: &Path, args: &[&str]) -> Result<(), String> {
    let table = read(root, "proc/mounts");
    let asked = args.last().unwrap();
    let path = &shown(asked);
    let options = option(args, "-o").unwrap();
    if let Some(options) = options.strip_prefix("remount,") {
        let lines = table.lines().map(|line| {
            let mut fields: Vec<&str> = line.split(' ').collect();
            if fields[1] == *path {
                fields[3] = options;
            }
            format!("{}\n", fields.join(" "))
        });
        write(root, "proc/mounts", lines.collect());
        return Ok(());
    }
    if !root.join(asked.trim_start_matches('/')).is_dir() {
        return Err("mount point does not exist".into());
    }
    let (kind, device) = (option(args, "-t").unwrap(), args[args.len() - 2]);
    let options = options.replace("defaults", "rw,relatime");
    write(
        root,
        "proc/mounts",
        format!("{table}{device} {path} {kind} {options} 0 0\n"),
    );
    Ok(())
}

fn unmount(root: &Path, path: &str) -> Result<(), String> {
    let table = read(root, "proc/mounts");
    let path = shown(path);
    let keep = |line: &&str| line.split(' ').nth(1) != Some(path.as_str());
    let lines = table.lines().filter(keep).flat_map(|line| [line, "\n"]);
    write(root, "proc/mounts", lines.collect());
    Ok(())
}

const PACKAGES: &str = "var/lib/packages";

fn package(root: &Path, args: &[&str]) -> Result<(), String> {
    let table = read(root, PACKAGES);
    match args {
        ["--compare-versions", one, "ge", other] => {
            (one >= other).then_some(()).ok_or_else(String::new)
        }
        ["--purge", name] => {
            write(root, PACKAGES, without(&table, name));
            Ok(())
        }
        [.., "--install", file] => {
            let text = read(root, file.trim_start_matches('/'));
            let name = text.split(':').next().unwrap();
            if read(root, "var/lib/locked") == "yes" {
                write(root, "var/lib/locked", "no".into());
                return Err("dpkg frontend lock was locked by another process".into());
            }
            if name.starts_with("lone") {
                return Err(format!(
                    "dependency problems prevent configuration of {name}"
                ));
            }
            write(root, PACKAGES, format!("{}{text}\n", without(&table, name)));
            Ok(())
        }
        _ => Err("not understood".into()),
    }
}

/// Runs one of the tools; `None` when it is none of them.
pub fn run(root: &Path, program: &str, args: &[&str]) -> Option<CommandOutput> {
    let mut stdout = String::new();
    let done = match program {
        "groupadd" | "groupdel" | "useradd" | "usermod" | "userdel" => account(root, program, args),
        "mount" => mount(root, args),
        "umount" => unmount(root, args.last().unwrap()),
        "dpkg-query" => {
            let table = read(root, PACKAGES);
            let name = args.last().unwrap();
            let found = table
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}:")));
            stdout = found
                .map(|version| format!("ii |{version}\n"))
                .unwrap_or_default();
            found.map(drop).ok_or_else(|| "no packages found".into())
        }
        "dpkg" => package(root, args),
        "env" => package(root, &args[2..]),
        _ => return None,
    };
    Some(CommandOutput {
        status: Some(i32::from(done.is_err())),
        stdout,
        stderr: done.err().unwrap_or_default(),
    })
}
