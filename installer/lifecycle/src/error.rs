//! Failures as people and scripts meet them: what, where, why, what next, and whose turn it is.

use serde::{Deserialize, Serialize};

/// Whose turn it is; each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The configuration, the bundle or the command line: exit code 2.
    Input,
    /// A server or the network between: exit code 3.
    Machine,
    /// A mistake of this program: exit code 1.
    Bug,
}

impl FailureKind {
    /// The exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Input => 2,
            Self::Machine => 3,
            Self::Bug => 1,
        }
    }
}

/// Something that went wrong, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Whose turn it is.
    pub kind: FailureKind,
    /// The node, where it concerns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The phase it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What failed and why, the chain of causes on one line.
    pub message: String,
    /// What to do next, where the message does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with the whole chain of `error` as its message.
    pub fn new(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::text(kind, chain(error))
    }

    /// A failure in words.
    pub fn text(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            node: None,
            phase: None,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure of a machine, in words.
    pub fn machine(message: impl Into<String>) -> Self {
        Self::text(FailureKind::Machine, message)
    }

    /// A failure of this program, in words.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::text(FailureKind::Bug, message)
    }

    /// Says on which node.
    pub fn on(mut self, node: &str) -> Self {
        self.node.get_or_insert_with(|| node.into());
        self
    }

    /// Says in which phase.
    pub fn during(mut self, phase: &str) -> Self {
        self.phase.get_or_insert_with(|| phase.into());
        self
    }

    /// Says what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// An error and its causes on one line; a cause already told by the outer text is left out.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let told = inner.to_string();
        if !text.ends_with(&told) {
            text = format!("{text}: {told}");
        }
        cause = inner.source();
    }
    text
}

impl From<ingot_transport::TransportError> for Failure {
    fn from(error: ingot_transport::TransportError) -> Self {
        use ingot_transport::TransportError as E;
        let mut told = &error;
        while let E::Jump(of_jump_host) = told {
            told = of_jump_host;
        }
        let kind = match told {
            E::Key { .. } | E::NoKey { .. } | E::Agent { .. } | E::KnownHosts { .. } => {
                FailureKind::Input
            }
            _ => FailureKind::Machine,
        };
        Self::new(kind, &error)
    }
}

/// What a panic said.
pub fn panic_words(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
}
