package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

// What the installer asks before it touches a server: would these settings start the component?
//
// The component's own code answers: its flags, its strict decoder, its validation. Nothing is served, no
// address is asked, and no file of the server is read; those do not exist where the question is asked.

// question is read from standard input.
type question struct {
	// Component is kube-apiserver or kubelet.
	Component string `json:"component"`
	// Base is what Ingot itself sets: flags by name, or the fields of a KubeletConfiguration.
	Base map[string]json.RawMessage `json:"base"`
	// Overrides is what a person sets; it wins.
	Overrides map[string]json.RawMessage `json:"overrides"`
}

// finding is one thing that the component says.
type finding struct {
	// Setting is the flag, or the field with its parents, that it is about; empty if that cannot be told.
	Setting string `json:"setting"`
	// Message is in the component's own words.
	Message string `json:"message"`
	// Refused is false for what the component takes and complains of.
	Refused bool `json:"refused"`
}

// answer is written to standard output.
type answer struct {
	FormatVersion int       `json:"formatVersion"`
	Findings      []finding `json:"findings"`
}

func checkSettings(in io.Reader, out io.Writer) error {
	var asked question
	if err := json.NewDecoder(in).Decode(&asked); err != nil {
		return fmt.Errorf("the question cannot be read: %w", err)
	}
	var found []finding
	var err error
	switch asked.Component {
	case "kube-apiserver":
		found, err = checkAPIServer(asked)
	case "kubelet":
		found, err = checkKubelet(asked)
	default:
		err = fmt.Errorf("no settings of %q are known", asked.Component)
	}
	if err != nil {
		return err
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Setting < found[j].Setting })
	return json.NewEncoder(out).Encode(answer{FormatVersion: 1, Findings: distinct(found)})
}

// distinct leaves out what was said before.
func distinct(found []finding) []finding {
	all := []finding{}
	seen := map[finding]bool{}
	for _, one := range found {
		if !seen[one] {
			seen[one] = true
			all = append(all, one)
		}
	}
	return all
}

func runCheckSettings() int {
	if err := checkSettings(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// flat takes aggregated errors apart.
func flat(errs ...error) []error {
	var all []error
	for _, err := range errs {
		if err == nil {
			continue
		}
		if many, ok := err.(utilerrors.Aggregate); ok {
			all = append(all, flat(many.Errors()...)...)
			continue
		}
		all = append(all, err)
	}
	return all
}

// about is the setting a message speaks of: the longest of the names that stands in it as a whole word.
func about(message string, names []string) string {
	lower := strings.ToLower(message)
	best := ""
	for _, name := range names {
		if len(name) > len(best) && hasWord(lower, strings.ToLower(name)) {
			best = name
		}
	}
	return best
}

// aboutParts is the setting all of whose parts stand in a message that spells it as words ("audit log format"),
// or else the one whose value does.
func aboutParts(message string, overrides map[string]json.RawMessage, names []string) string {
	lower := strings.ToLower(message)
	for _, name := range names {
		all := strings.Contains(name, "-")
		for _, part := range strings.Split(name, "-") {
			all = all && hasWord(lower, part)
		}
		if all {
			return name
		}
	}
	for _, name := range names {
		value := strings.Trim(strings.ToLower(string(overrides[name])), `"`)
		if len(value) > 1 && value != "true" && value != "false" && hasWord(lower, value) {
			return name
		}
	}
	return ""
}

func hasWord(text, word string) bool {
	part := func(b byte) bool {
		return b == '-' || b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z'
	}
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		at += from
		end := at + len(word)
		before := at == 0 || !part(text[at-1]) || strings.HasSuffix(text[:at], "--")
		if before && (end == len(text) || !part(text[end])) {
			return true
		}
		from = at + 1
	}
}

func sortedNames(of map[string]json.RawMessage) []string {
	names := make([]string, 0, len(of))
	for name := range of {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
