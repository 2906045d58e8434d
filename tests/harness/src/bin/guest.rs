//! One command to get a guest: a shell in it, a command on it, or a program of this machine in it.
//!
//! The guest ends with the command. It only translates arguments; [`Guest`] does the work.

use std::error::Error;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use ingot_harness::guest::{GUEST_DEADLINE, Guest, GuestSpec};

/// A throw-away virtual machine with a kernel and disks of its own (as root)
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Open a shell in a new guest
    Shell {
        #[command(flatten)]
        machine: MachineArguments,
    },
    /// Run a command on a new guest
    Exec {
        #[command(flatten)]
        machine: MachineArguments,
        /// The command and its arguments, after `--`
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
    /// Copy a program of this machine into a new guest and run it there as root
    Run {
        #[command(flatten)]
        machine: MachineArguments,
        /// The program, with its arguments after `--`
        program: PathBuf,
        /// Its arguments
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Remove what crashes have left of guests
    Clean,
}

#[derive(Args)]
struct MachineArguments {
    /// Empty data disks, as count and size: 3x2G
    #[arg(long, value_parser = parse_disks, default_value = "0x1G")]
    disks: (usize, u64),
    /// Memory in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Processors
    #[arg(long, default_value_t = 2)]
    cpus: u8,
    /// Seconds it may take to boot
    #[arg(long, default_value_t = GUEST_DEADLINE.as_secs())]
    deadline: u64,
}

impl MachineArguments {
    fn boot(&self) -> Result<Guest, Box<dyn Error>> {
        let (count, bytes) = self.disks;
        let mut spec = GuestSpec::new(format!("guest-{}", std::process::id()));
        spec.memory_mib = self.memory;
        spec.cpus = self.cpus;
        spec.deadline = Duration::from_secs(self.deadline);
        let start = Instant::now();
        let guest = Guest::create(spec.with_disks(count, bytes), &|step| eprintln!("{step}"))?;
        eprintln!("booted after {:.0} s", start.elapsed().as_secs_f64());
        Ok(guest)
    }
}

fn main() -> ExitCode {
    // The guest has to be dropped, so nothing may leave but by returning.
    match act(Arguments::parse().verb) {
        Ok(status) => status,
        Err(error) => {
            eprint!("error: {error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprint!(": {source}");
                cause = source.source();
            }
            eprintln!();
            ExitCode::from(3)
        }
    }
}

fn act(verb: Verb) -> Result<ExitCode, Box<dyn Error>> {
    let status = match verb {
        Verb::Shell { machine } => machine.boot()?.shell()?,
        Verb::Exec { machine, command } => {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            machine.boot()?.stream(&words)?
        }
        Verb::Run {
            machine,
            program,
            arguments,
        } => {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            machine.boot()?.run_program(&program, &words, &[])?
        }
        Verb::Clean => {
            for guest in Guest::remove_orphans()? {
                println!("removed {guest}");
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

fn parse_disks(text: &str) -> Result<(usize, u64), String> {
    let parse = || {
        let (count, size) = text.split_once('x')?;
        let unit = match size.as_bytes().last()? {
            b'M' => 20,
            b'G' => 30,
            _ => return None,
        };
        let size: u64 = size[..size.len() - 1].parse().ok()?;
        Some((count.parse().ok()?, size.checked_mul(1 << unit)?))
    };
    parse().ok_or_else(|| format!("{text:?} is not a count and a size in M or G, like 3x2G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_a_count_and_a_size() {
        assert_eq!(parse_disks("3x2G"), Ok((3, 2 << 30)));
        assert_eq!(parse_disks("12x512M"), Ok((12, 512 << 20)));
        for bad in [
            "",
            "3",
            "3x",
            "x2G",
            "3x2",
            "3xG",
            "-1x2G",
            "3x2T",
            "1x99999999999999G",
        ] {
            assert!(parse_disks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_arguments_are_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let parsed =
            Arguments::try_parse_from(["guest", "exec", "--disks", "2x1G", "--", "ls", "-l"]);
        assert!(
            matches!(parsed.unwrap().verb, Verb::Exec { command, .. } if command == ["ls", "-l"])
        );
    }
}
