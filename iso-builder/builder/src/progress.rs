//! Tells how a build goes: bars on a terminal, one line per step without. Talks on stderr only.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Where the steps of a build are shown.
pub struct Reporter {
    bars: Option<MultiProgress>,
    total: usize,
}

/// One component that is being built.
pub struct Step<'a> {
    reporter: &'a Reporter,
    name: String,
    bar: Option<ProgressBar>,
    begun: Instant,
}

impl Reporter {
    /// For `total` components.
    pub fn new(total: usize) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            bars: terminal.then(MultiProgress::new),
            total,
        }
    }

    /// A component is taken up.
    pub fn begin(&self, name: &str) -> Step<'_> {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix:<24} {msg} {elapsed}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Step {
            reporter: self,
            name: name.to_owned(),
            bar,
            begun: Instant::now(),
        }
    }

    /// Says something that is not about one component.
    pub fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            None => eprintln!("{text}"),
        }
    }
}

impl Step<'_> {
    /// What is being done now.
    pub fn doing(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{:<24} {what}", self.name),
        }
    }

    /// It is done; `number` components are.
    pub fn done(self, number: usize, what: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let total = self.reporter.total;
        self.reporter.say(&format!(
            "[{number:>2}/{total}] {:<24} {what}, {seconds:.1} s",
            self.name
        ));
    }
}
