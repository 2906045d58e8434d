//! Every order in which one volume's life can go: two controllers, two nodes, an API store with
//! compare-and-swap, crashes, lost answers, late and doubled writes, stale reads, a lost disk.
//!
//! The state machine under test is the one the agent runs. Variants that leave out one rule show
//! that each property can fail; one such trace is kept in `traces/` and replayed by the driver's
//! tests against the real agent.

#[path = "model/action.rs"]
mod action;
#[path = "model/system.rs"]
mod system;

use stateright::{Checker, HasDiscoveries, Model, Property};
use system::{Careless, System, Volumes};

impl Model for Volumes {
    type State = System;
    type Action = action::Action;

    fn init_states(&self) -> Vec<System> {
        vec![System::new(self)]
    }

    fn actions(&self, system: &System, actions: &mut Vec<action::Action>) {
        action::possible(self, system, actions);
    }

    fn next_state(&self, system: &System, action: action::Action) -> Option<System> {
        let mut next = system.clone();
        action::carry_out(self, &mut next, action);
        (next != *system).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a name never owns two LVs", |_, s: &System| !s.doubled()),
            Property::always(
                "a ready LV with a live object is never removed",
                |_, s: &System| !s.seen.removed_live,
            ),
            Property::always("a volume is formatted at most once", |_, s: &System| {
                s.seen.formatted.values().all(|times| *times <= 1)
            }),
            Property::always("what was ready is never made again", |_, s: &System| {
                !s.seen.remade
            }),
            Property::always("only what disappeared is lost", |_, s: &System| {
                !s.seen.lost || s.losses == 0
            }),
            Property::always("in every quiet state, converged", |_, s: &System| {
                !s.quiet() || s.converged()
            }),
            Property::sometimes("creation finishes", |_, s: &System| {
                s.seen.created && s.quiet()
            }),
            Property::sometimes("growth finishes", |_, s: &System| s.seen.grown && s.quiet()),
            Property::sometimes("deletion finishes", |_, s: &System| {
                s.seen.deleted && s.quiet()
            }),
            Property::sometimes("loss is reported", |_, s: &System| s.seen.lost && s.quiet()),
        ]
    }
}

/// One fault takes seconds, two take minutes and memory: `INGOT_SOAK=1` has two.
fn faults() -> u8 {
    match std::env::var_os("INGOT_SOAK") {
        Some(value) if value == "1" => 2,
        _ => 1,
    }
}

#[test]
fn all_properties_hold_in_every_order() {
    let begin = std::time::Instant::now();
    let model = Volumes {
        careless: Careless::Not,
        faults: faults(),
    };
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!(
        "{} states, {} unique, depth {}, {:.1} s",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        begin.elapsed().as_secs_f64()
    );
    checker.assert_properties();
    assert!(
        checker.unique_state_count() > 500_000,
        "the model hardly moves"
    );
}

/// The shortest way in which a careless variant breaks a property.
fn broken(careless: Careless, property: &'static str) -> Vec<action::Action> {
    let model = Volumes {
        careless,
        faults: 2,
    };
    let found = HasDiscoveries::AllOf([property].into());
    let checker = model
        .checker()
        .threads(1)
        .finish_when(found)
        .spawn_bfs()
        .join();
    let path = checker.discovery(property);
    let path = path.unwrap_or_else(|| panic!("{careless:?} went unnoticed"));
    path.into_actions()
}

#[test]
fn creating_without_a_claim_is_found_and_its_trace_is_kept() {
    let trace = broken(
        Careless::CreatesWithoutClaim,
        "what was ready is never made again",
    );
    let json = serde_json::to_string_pretty(&trace).expect("json") + "\n";
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/traces/created_again.json"
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, &json).expect("written");
    }
    let kept = std::fs::read_to_string(file).expect("the kept trace");
    let kept: Vec<action::Action> = serde_json::from_str(&kept).expect("actions");
    assert_eq!(
        kept.len(),
        trace.len(),
        "a shorter one exists; run with UPDATE_GOLDEN=1"
    );
    let run = |careless| {
        let model = Volumes {
            careless,
            faults: 2,
        };
        let mut system = System::new(&model);
        for step in &kept {
            action::carry_out(&model, &mut system, *step);
        }
        system.seen.remade
    };
    assert!(
        run(Careless::CreatesWithoutClaim),
        "the trace breaks the careless variant"
    );
    assert!(!run(Careless::Not), "and not ours");
}

#[test]
fn removing_what_nobody_knows_is_found() {
    broken(
        Careless::RemovesUnknown,
        "a ready LV with a live object is never removed",
    );
}

#[test]
fn formatting_without_a_look_at_the_tag_is_found() {
    broken(
        Careless::FormatsByLookOnly,
        "a volume is formatted at most once",
    );
}

#[test]
fn reporting_before_the_disk_is_found() {
    broken(Careless::ReportsFirst, "only what disappeared is lost");
}

#[test]
fn beginning_beside_commands_of_a_dead_agent_is_found() {
    broken(
        Careless::StartsBesideItsPast,
        "what was ready is never made again",
    );
}

#[test]
fn a_second_owner_is_found() {
    broken(Careless::TakesEveryObject, "a name never owns two LVs");
}

#[test]
fn a_volume_made_before_its_name_is_won_is_found() {
    broken(Careless::MakesBeforeObject, "a name never owns two LVs");
}

#[test]
fn never_removing_is_found() {
    broken(Careless::NeverRemoves, "in every quiet state, converged");
}

#[test]
fn growth_that_is_never_reported_is_found() {
    broken(
        Careless::ReportsReadyOnce,
        "in every quiet state, converged",
    );
}
