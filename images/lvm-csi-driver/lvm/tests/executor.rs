//! The lines of commands: order, deadlines, and the breaker for a command that hangs.

use ingot_lvm::{
    Backend, Command, Deadlines, Executor, Faulty, Fuse, Lane, LvmError, Sim, SimGroup,
};
use ingot_volume_brain::{Bytes, VgName};
use std::sync::Arc;
use std::time::Duration;

fn group(name: &str) -> SimGroup {
    let vg = VgName::new(name).expect("a name");
    SimGroup {
        made: true,
        ..SimGroup::disks(vg, [Bytes::gib(1)])
    }
}

fn scan(name: &str) -> Command {
    Command::Scan(VgName::new(name).expect("a name"))
}

#[tokio::test]
async fn a_hung_command_closes_its_line_and_no_other_until_it_ends() {
    let sim = Arc::new(Sim::new([group("dead"), group("well")]));
    let faulty = Arc::new(Faulty::new(sim, Fuse::default()));
    let backend: Arc<dyn Backend> = faulty.clone();
    let short = Duration::from_millis(50);
    let deadlines = Deadlines {
        command: short,
        format: short,
        queue: Duration::from_secs(5),
    };
    let executor = Executor::new(backend, deadlines);
    let dead = VgName::new("dead").expect("a name");
    let lane = Lane::Group(dead.clone());
    faulty.hang(move |command| command.lane() == Lane::Group(dead.clone()));
    let first = executor.run(scan("dead")).await.expect_err("it hangs");
    assert!(matches!(first, LvmError::Hung { .. }), "{first}");
    assert!(
        first
            .to_string()
            .contains("look for a failed disk with `dmesg`")
    );
    // Whoever comes now is told at once, and the other group is served.
    let begin = std::time::Instant::now();
    let second = executor.run(scan("dead")).await.expect_err("closed");
    assert!(matches!(second, LvmError::Hung { .. }), "{second}");
    assert!(begin.elapsed() < short, "nobody waits behind a dead disk");
    assert!(executor.blocked(&lane).is_some());
    executor.run(scan("well")).await.expect("another group");
    faulty.release();
    // The command ends after all: its line opens.
    while executor.blocked(&lane).is_some() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    executor.run(scan("dead")).await.expect("open again");
}

#[tokio::test]
async fn commands_of_one_group_wait_for_each_other() {
    struct Counting {
        running: std::sync::atomic::AtomicUsize,
    }
    impl Backend for Counting {
        fn run(&self, _: &Command) -> Result<ingot_lvm::Reply, LvmError> {
            use std::sync::atomic::Ordering;
            let others = self.running.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
            self.running.fetch_sub(1, Ordering::SeqCst);
            if others == 0 {
                Ok(ingot_lvm::Reply::Done)
            } else {
                Err(LvmError::Crashed)
            }
        }
    }
    let backend = Arc::new(Counting {
        running: std::sync::atomic::AtomicUsize::new(0),
    });
    let executor = Executor::new(backend, Deadlines::default());
    let all = (0..200).map(|_| {
        let executor = executor.clone();
        tokio::spawn(async move { executor.run(scan("one")).await })
    });
    for task in all.collect::<Vec<_>>() {
        let reply = task.await.expect("no panic");
        assert!(reply.is_ok(), "two commands of one group at once");
    }
}
