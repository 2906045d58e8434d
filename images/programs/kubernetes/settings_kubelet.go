package main

import (
	"encoding/json"
	"fmt"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	conversion "k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1"
	"k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
)

func checkKubelet(asked question) ([]finding, error) {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		return nil, err
	}
	var found []finding
	names := sortedNames(asked.Overrides)
	refuse := func(setting string, errs ...error) {
		for _, err := range flat(errs...) {
			at := setting
			if at == "" {
				at = about(err.Error(), names)
			}
			if at == "" {
				at = aboutParts(err.Error(), asked.Overrides, names)
			}
			message := strings.TrimPrefix(err.Error(), "invalid configuration: ")
			found = append(found, finding{Setting: at, Message: message, Refused: true})
		}
	}
	// Gates first: setting defaults ends the program where one is unknown.
	overrides := map[string]json.RawMessage{}
	for name, value := range asked.Overrides {
		overrides[name] = value
	}
	if given, ok := overrides["featureGates"]; ok {
		delete(overrides, "featureGates")
		var wanted map[string]bool
		if err := json.Unmarshal(given, &wanted); err != nil {
			refuse("featureGates", err)
		}
		for gate, on := range wanted {
			if err := utilfeature.DefaultMutableFeatureGate.DeepCopy().SetFromMap(map[string]bool{gate: on}); err != nil {
				refuse("featureGates."+gate, err)
				delete(wanted, gate)
			}
		}
		if len(wanted) > 0 {
			if overrides["featureGates"], err = json.Marshal(wanted); err != nil {
				return nil, err
			}
		}
	}
	// One field after the other, since the decoder stops at the first it cannot read. What it does not know
	// the kubelet itself would pass over without a word in a file of its drop-in directory.
	good := document(nil)
	for _, name := range sortedNames(overrides) {
		err := decodes(codecs, document(map[string]json.RawMessage{name: overrides[name]}))
		if err == nil {
			good[name] = overrides[name]
		} else if strict, ok := runtime.AsStrictDecodingError(err); ok {
			refuse(name, strict.Errors()...)
		} else {
			refuse(name, err)
		}
	}
	config, err := merged(codecs, asked.Base, good)
	if err != nil {
		// What is sound for itself and not together.
		refuse("", err)
		return found, nil
	}

	gates := utilfeature.DefaultMutableFeatureGate
	if err := gates.SetFromMap(config.FeatureGates); err != nil {
		refuse("featureGates", err)
		config.FeatureGates = nil
	}
	// Which version of control groups there is, is the host's; this may be another machine.
	config.FailCgroupV1 = false
	for _, err := range logsapi.Validate(&config.Logging, gates, field.NewPath("logging")) {
		refuse("", err)
	}
	if err := validation.ValidateKubeletConfiguration(config, gates); err != nil {
		refuse("", err)
	}
	startChecks(config, refuse)
	return found, nil
}

// decodes says whether a document is one of the kubelet's, in the decoder's words.
func decodes(codecs *serializer.CodecFactory, document map[string]json.RawMessage) (err error) {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	// Setting defaults may panic.
	defer func() {
		if said := recover(); said != nil {
			err = fmt.Errorf("%v", said)
		}
	}()
	_, _, err = codecs.UniversalDecoder().Decode(text, nil, nil)
	return err
}

// startChecks are those the kubelet makes while it starts, after its validation.
func startChecks(config *kubeletconfig.KubeletConfiguration, refuse func(string, ...error)) {
	thresholds := []struct {
		name                       string
		hard, soft, grace, reclaim map[string]string
	}{
		{"evictionHard", config.EvictionHard, nil, nil, nil},
		{"evictionSoft", nil, config.EvictionSoft, config.EvictionSoftGracePeriod, nil},
		{"evictionMinimumReclaim", nil, nil, nil, config.EvictionMinimumReclaim},
	}
	for _, one := range thresholds {
		if _, err := eviction.ParseThresholdConfig(nil, one.hard, one.soft, one.grace, one.reclaim); err != nil {
			refuse(one.name, err)
		}
	}
	reserved := map[string]map[string]string{
		"systemReserved": config.SystemReserved,
		"kubeReserved":   config.KubeReserved,
	}
	cpu := resource.Quantity{}
	for name, quantities := range reserved {
		for key, text := range quantities {
			quantity, err := resource.ParseQuantity(text)
			switch {
			case key != "cpu" && key != "memory" && key != "ephemeral-storage" && key != "pid":
				refuse(name+"."+key, fmt.Errorf("cannot reserve %q resource", key))
			case err != nil:
				refuse(name+"."+key, fmt.Errorf("failed to parse quantity %q for %q resource: %w", text, key, err))
			case quantity.Sign() < 0:
				refuse(name+"."+key, fmt.Errorf("resource quantity for %q cannot be negative: %v", key, text))
			case key == "cpu":
				cpu.Add(quantity)
			}
		}
	}
	if _, err := cm.ParseQOSReserved(config.QOSReserved); err != nil {
		refuse("qosReserved", err)
	}
	if size, err := resource.ParseQuantity(config.ContainerLogMaxSize); err != nil {
		refuse("containerLogMaxSize", fmt.Errorf("failed to parse container log max size %q: %w", config.ContainerLogMaxSize, err))
	} else if _, whole := size.AsInt64(); !whole {
		refuse("containerLogMaxSize", fmt.Errorf("failed to parse container log max size %q: invalid max log size", config.ContainerLogMaxSize))
	}
	if _, err := cliflag.TLSCipherSuites(config.TLSCipherSuites); err != nil {
		refuse("tlsCipherSuites", err)
	}
	if _, err := cliflag.TLSVersion(config.TLSMinVersion); err != nil {
		refuse("tlsMinVersion", err)
	}
	switch config.CPUManagerPolicy {
	case "none", "":
	case "static":
		if cpu.IsZero() && config.ReservedSystemCPUs == "" {
			refuse("cpuManagerPolicy", fmt.Errorf("the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than zero"))
		}
	default:
		refuse("cpuManagerPolicy", fmt.Errorf("unknown policy: %q", config.CPUManagerPolicy))
	}
	switch config.MemoryManagerPolicy {
	case "None", "":
	case "Static":
		if len(config.ReservedMemory) == 0 {
			refuse("memoryManagerPolicy", fmt.Errorf("the Static policy requires reservedMemory for the memory of kubeReserved, systemReserved and evictionHard"))
		}
	default:
		refuse("memoryManagerPolicy", fmt.Errorf("unknown policy: %q", config.MemoryManagerPolicy))
	}
}

// merged is what a kubelet makes of its file and one in its drop-in directory.
func merged(codecs *serializer.CodecFactory, base, over map[string]json.RawMessage) (*kubeletconfig.KubeletConfiguration, error) {
	text, err := json.Marshal(document(base))
	if err != nil {
		return nil, err
	}
	object, _, err := codecs.UniversalDecoder().Decode(text, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("the configuration of our own: %w", err)
	}
	config, ok := object.(*kubeletconfig.KubeletConfiguration)
	if !ok {
		return nil, fmt.Errorf("the configuration of our own is a %T", object)
	}
	versioned := &kubeletv1beta1.KubeletConfiguration{}
	if err := conversion.Convert_config_KubeletConfiguration_To_v1beta1_KubeletConfiguration(config, versioned, nil); err != nil {
		return nil, err
	}
	whole, err := json.Marshal(versioned)
	if err != nil {
		return nil, err
	}
	patch, err := json.Marshal(over)
	if err != nil {
		return nil, err
	}
	whole, err = jsonpatch.MergePatch(whole, patch)
	if err != nil {
		return nil, err
	}
	versioned = &kubeletv1beta1.KubeletConfiguration{}
	if err := json.Unmarshal(whole, versioned); err != nil {
		return nil, err
	}
	conversion.SetDefaults_KubeletConfiguration(versioned)
	config = &kubeletconfig.KubeletConfiguration{}
	return config, conversion.Convert_v1beta1_KubeletConfiguration_To_config_KubeletConfiguration(versioned, config, nil)
}

// document is a KubeletConfiguration with these fields.
func document(fields map[string]json.RawMessage) map[string]json.RawMessage {
	all := map[string]json.RawMessage{
		"apiVersion": json.RawMessage(`"kubelet.config.k8s.io/v1beta1"`),
		"kind":       json.RawMessage(`"KubeletConfiguration"`),
	}
	for name, value := range fields {
		all[name] = value
	}
	return all
}
