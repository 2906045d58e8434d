package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/util/keyutil"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/cli/globalflag"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/component-base/version/verflag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/spf13/pflag"
)

// Flags by the words of messages that name the option and not the flag.
var apiServerWords = []struct{ words, flag string }{
	{"feature gate", "feature-gates"},
	{"emulation", "emulated-version"},
	{"emulated", "emulated-version"},
	{"min compatibility", "min-compatibility-version"},
	{"node port range", "service-node-port-range"},
	{"logging.format", "logging-format"},
	{"logging.vmodule", "vmodule"},
	{"logging.verbosity", "v"},
	{"logging.flushfrequency", "log-flush-frequency"},
	{"webhook retry", "authentication-token-webhook-config-file"},
	{"cipher suite", "tls-cipher-suites"},
	{"tls version", "tls-min-version"},
	{"runtime-config", "runtime-config"},
	{"group versions", "runtime-config"},
	{"api groups", "runtime-config"},
}

func checkAPIServer(asked question) ([]finding, error) {
	s := options.NewServerRunOptions()
	named := s.Flags()
	global := named.FlagSet("global")
	verflag.AddFlags(global)
	globalflag.AddGlobalFlags(global, "kube-apiserver", logs.SkipLoggingConfigurationFlags())
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	for _, set := range named.FlagSets {
		flags.AddFlagSet(set)
	}

	var found []finding
	overrides := sortedNames(asked.Overrides)
	refuse := func(setting string, errs ...error) {
		for _, err := range flat(errs...) {
			at := setting
			if at == "" {
				at = aboutFlag(err.Error(), asked.Overrides, overrides)
			}
			found = append(found, finding{Setting: at, Message: err.Error(), Refused: true})
		}
	}
	for _, name := range sortedNames(asked.Base) {
		if _, over := asked.Overrides[name]; over {
			continue
		}
		if err := setFlag(flags, name, asked.Base[name]); err != nil {
			return nil, fmt.Errorf("a flag of our own: %w", err)
		}
	}
	for _, name := range overrides {
		if err := setFlag(flags, name, asked.Overrides[name]); err != nil {
			refuse(name, err)
		} else if flag := flags.Lookup(name); flag.Deprecated != "" {
			message := fmt.Sprintf("Flag --%s has been deprecated, %s", name, flag.Deprecated)
			found = append(found, finding{Setting: name, Message: message})
		}
	}

	// Keys are the server's own; one of the moment stands in, since Complete reads it.
	key, err := signingKey()
	if err != nil {
		return nil, err
	}
	defer os.Remove(key)
	s.ServiceAccountSigningKeyFile = key

	registry := s.GenericServerRunOptions.ComponentGlobalsRegistry
	refuse("", registry.Set())
	gate := registry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	for _, err := range logsapi.Validate(s.Logs, gate, field.NewPath("logging")) {
		refuse("", err)
	}
	// These two are looked at when the server begins to listen only.
	if _, err := cliflag.TLSCipherSuites(s.SecureServing.CipherSuites); err != nil {
		refuse("tls-cipher-suites", err)
	}
	if _, err := cliflag.TLSVersion(s.SecureServing.MinTLSVersion); err != nil {
		refuse("tls-min-version", err)
	}
	completed, err := s.Complete(context.Background())
	if err != nil {
		refuse("", err)
		// The rest is said all the same, but for what only follows from this.
		for _, err := range flat(s.Options.Validate()...) {
			if !strings.Contains(err.Error(), "should be specified together") {
				refuse("", err)
			}
		}
		return found, nil
	}
	refuse("", completed.Validate()...)
	return found, nil
}

func setFlag(flags *pflag.FlagSet, name string, value json.RawMessage) error {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return fmt.Errorf("the value of %s is no text: %w", name, err)
	}
	if flags.Lookup(name) == nil {
		return fmt.Errorf("unknown flag: --%s", name)
	}
	return flags.Set(name, text)
}

// aboutFlag is the flag of a person that a message speaks of.
func aboutFlag(message string, overrides map[string]json.RawMessage, names []string) string {
	if name := about(message, names); name != "" {
		return name
	}
	lower := strings.ToLower(message)
	for _, known := range apiServerWords {
		if _, given := overrides[known.flag]; given && strings.Contains(lower, known.words) {
			return known.flag
		}
	}
	return aboutParts(message, overrides, names)
}

func signingKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	pem, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp("", "ingot-settings-")
	if err != nil {
		return "", err
	}
	defer file.Close()
	if _, err := file.Write(pem); err != nil {
		os.Remove(file.Name())
		return "", err
	}
	return file.Name(), nil
}
