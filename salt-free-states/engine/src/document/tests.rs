use super::*;
use serde_json::json;

fn load_one(document: &str) -> Result<Vec<Declared>, DocumentError> {
    let catalog = Catalog::from_files([
        ("s/state.yaml", document),
        (
            "s/files/f.tera",
            "hello {{ name }}{% if level is defined %} {{ level }}{% endif %}",
        ),
    ]);
    load(&catalog, &["s".into()], &json!({"name": "n1"}))
}

fn refusal(document: &str) -> String {
    load_one(document).unwrap_err().to_string()
}

#[test]
fn renders_the_document_and_its_templates() {
    let all = load_one(
        "resources:\n  - id: a\n    file: {path: /etc/{{ name }}, template: f.tera, with: {level: 3}}\n  - id: b\n    directory: {path: /d}\n    require: [a]\n",
    )
    .unwrap();
    let Resource::File(file) = &all[0].resource else {
        panic!("not a file")
    };
    assert_eq!(file.path.to_str(), Some("/etc/n1"));
    assert_eq!(file.content, "hello n1 3");
    assert_eq!(all[1].require, ["s/a"]);
    assert_eq!(all[1].origin.to_string(), "s/state.yaml:4");
}

#[test]
fn every_mistake_is_named_with_its_place() {
    assert_eq!(
        refusal("resources:\n  - id: a\n    fil: {path: /x}\n"),
        format!(
            "s/state.yaml:2: unknown resource kind `fil`; the kinds are: {}",
            KINDS.join(", ")
        )
    );
    assert_eq!(
        refusal("resources:\n  - id: a\n    directory: {path: /x, mod: '0755'}\n"),
        "s/state.yaml:2: `a` is not a valid `directory`: unknown field `mod`, expected one of `path`, `mode`, `owner`, `group`, `exclusive`, `entries`"
    );
    assert_eq!(
        refusal("resources:\n  - id: a\n    directory: {path: x}\n"),
        "s/state.yaml:2: `a` is not a valid `directory`: `x` is not an absolute path"
    );
    assert_eq!(
        refusal("things: []\n"),
        "s/state.yaml:1: unknown field `things`; a state has `description` and `resources`"
    );
    assert!(
        refusal("resources:\n  - id: {{ nobody }}\n").starts_with("cannot render s/state.yaml: ")
    );
    assert!(
        refusal("resources:\n  - id: {{ nobody }}\n").contains("`nobody` not found in context")
    );
    assert!(refusal("resources: [\n").contains("not valid YAML"));
    assert_eq!(
        refusal("resources:\n  - id: a\n    file: {path: /x, template: g.tera}\n"),
        "state `s` names the file `g.tera`, but salt-free-states/catalog/s/files has: f.tera"
    );
}
