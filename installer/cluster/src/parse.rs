//! From text to a tree with positions: YAML 1.2 with anchors, but one document, no tags and no merge keys.
//!
//! Never looks at what the fields mean. Duplicate keys are found here, since a tree cannot hold them.

use crate::finding::{Mark, Report};
use crate::tree::{Entry, Node, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashMap;

/// The most values a document may have once its aliases are followed: far above any cluster, far
/// below what an alias of aliases can blow up to.
const MOST_VALUES: usize = 200_000;

/// The deepest nesting that is read; the reader calls itself for each level.
const DEEPEST: usize = 64;

/// The largest file that is read, in bytes.
const LARGEST: usize = 4 << 20;

/// Reads the one document of `text`; `None` when there is none to work with, and the reason is reported.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    if text.len() > LARGEST {
        report.error_at(
            Mark::START,
            format!(
                "the file has {} bytes, more than the {LARGEST} that are read",
                text.len()
            ),
            "check that this is the cluster.yaml",
        );
        return None;
    }
    if indented_by_tabs(text, report) {
        return None;
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        values: 0,
        report,
    };
    reader.document().unwrap_or_default()
}

/// YAML 1.2.2, section 6.1 forbids tabs in indentation; every such line is reported, not only the first.
fn indented_by_tabs(text: &str, report: &mut Report) -> bool {
    let mut found = false;
    for (index, line) in text.lines().enumerate() {
        let indentation = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        if let (Some(column), false) = (indentation.clone().position(|c| c == '\t'), blank) {
            found = true;
            let mark = Mark {
                line: index + 1,
                column: column + 1,
            };
            report.error_at(
                mark,
                "the line is indented by a tab, which YAML forbids",
                "use spaces",
            );
        }
    }
    found
}

/// Reading ended and why is in the report.
struct Stop;

struct Reader<'t, 'r> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    values: usize,
    report: &'r mut Report,
}

fn mark_of(marker: &Marker) -> Mark {
    Mark {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Mark), Stop> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, mark_of(&span.start))),
            Some(Err(error)) => {
                let mark = mark_of(error.marker());
                self.report.error_at(
                    mark,
                    format!("this is not YAML: {}", error.info()),
                    "look at the indentation, quotes and brackets of this line and the one before",
                );
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, Mark::START)),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    self.report.error_at(
                        mark,
                        "a second document begins here, but a cluster.yaml holds one",
                        "keep one cluster a file and remove the `---`",
                    );
                    return Ok(root);
                }
                Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::StreamStart
                | Event::Nothing => {}
                event => root = Some(self.node(event, mark, 0)?),
            }
        }
        match root {
            Some(Node {
                value: Value::Null, ..
            })
            | None => {
                self.report.error_at(
                    Mark::START,
                    "the file holds no cluster",
                    "begin with `apiVersion: ingot.dev/v1alpha1` and `kind: Cluster`",
                );
                Ok(None)
            }
            root => Ok(root),
        }
    }

    fn count(&mut self, more: usize, mark: Mark) -> Result<(), Stop> {
        self.values += more;
        if self.values <= MOST_VALUES {
            return Ok(());
        }
        self.report.error_at(
            mark,
            format!("the document has more than {MOST_VALUES} values"),
            "write aliases of aliases out, or make the file smaller",
        );
        Err(Stop)
    }

    /// Whether a tag makes its scalar text, which `!!str` does; any other is refused.
    fn is_text(&mut self, tag: Option<&Cow<'t, Tag>>, mark: Mark) -> bool {
        let Some(tag) = tag else { return false };
        if tag.is_yaml_core_schema() && tag.suffix == "str" {
            return true;
        }
        let handle = if tag.is_yaml_core_schema() {
            "!!"
        } else {
            &tag.handle
        };
        self.report.error_at(
            mark,
            format!("the tag `{handle}{}` is not read", tag.suffix),
            "remove it",
        );
        false
    }

    fn node(&mut self, event: Event<'t>, mark: Mark, depth: usize) -> Result<Node, Stop> {
        self.count(1, mark)?;
        if depth > DEEPEST {
            self.report.error_at(
                mark,
                format!("more than {DEEPEST} levels are nested"),
                "flatten the document",
            );
            return Err(Stop);
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = self.is_text(tag.as_ref(), mark);
                let value = match style {
                    ScalarStyle::Plain if !is_text => Value::plain(&text),
                    _ => Value::Text(text.into_owned()),
                };
                (value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.is_text(tag.as_ref(), mark);
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.is_text(tag.as_ref(), mark);
                (self.mapping(depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    self.report.error_at(
                        mark,
                        "the alias lies inside its own anchor",
                        "write the value out",
                    );
                    return Err(Stop);
                };
                self.count(size(&node), mark)?;
                return Ok(node);
            }
            _ => (Value::Null, 0),
        };
        let node = Node { mark, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, mark, depth + 1)?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, key_mark) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Mapping(entries));
            }
            let key = match event {
                Event::Scalar(text, ..) => Some(text.into_owned()),
                event => {
                    self.node(event, key_mark, depth + 1)?;
                    self.report.error_at(
                        key_mark,
                        "the name of a field is not plain text",
                        "write the name out",
                    );
                    None
                }
            };
            let (event, mark) = self.next()?;
            let value = self.node(event, mark, depth + 1)?;
            let Some(key) = key else { continue };
            if key == "<<" {
                self.report.error_at(
                    key_mark,
                    "merge keys (`<<`) belong to YAML 1.1 and are not read",
                    "write the fields out; what all nodes share goes to `spec.ssh`",
                );
                continue;
            }
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => {
                    let line = first.key_mark.line;
                    self.report.error_at(
                        key_mark,
                        format!("`{key}` is written a second time; the first is on line {line}"),
                        "keep one of them",
                    );
                }
                None => entries.push(Entry {
                    key,
                    key_mark,
                    value,
                }),
            }
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Mapping(entries) => {
            1 + entries
                .iter()
                .map(|entry| size(&entry.value))
                .sum::<usize>()
        }
        _ => 1,
    }
}
