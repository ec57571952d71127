// Package injection holds what a Pod gains, and what every reference server decides before it gives that.
package injection

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	// Placeholder stands in the template where the group's name belongs.
	Placeholder = "GROUP-NAME"
	Prefix      = "sidecar.hazelcast.com/"
	Label       = Prefix + "group"
	Status      = Prefix + "status"
	Member      = "hazelcast"
	Port        = 5701
)

// Template is what a Pod gains; the JSON has the same names.
type Template struct {
	Container    json.RawMessage `json:"container"`
	Volumes      json.RawMessage `json:"volumes"`
	Environment  json.RawMessage `json:"environment"`
	Status       string          `json:"status"`
	GraceSeconds int64           `json:"graceSeconds"`
}

// Read decodes a template.
func Read(content []byte) (Template, error) {
	var template Template
	err := json.Unmarshal(content, &template)
	return template, err
}

var known = map[string]bool{"inject": true, "group": true, "cluster-name": true, "log-level": true, "status": true}

// CheckAnnotations says what is wrong with the annotations of a Pod.
func CheckAnnotations(annotations map[string]string) error {
	if annotations[Prefix+"inject"] != "true" {
		return fmt.Errorf("%sinject is %q", Prefix, annotations[Prefix+"inject"])
	}
	for name := range annotations {
		if short, ours := strings.CutPrefix(name, Prefix); ours && !known[short] {
			return fmt.Errorf("unknown annotation %s", name)
		}
	}
	return nil
}

// Group names the group of a Pod: what the annotation says, or its workload's name.
func Group(annotations, labels map[string]string, owner, name string) string {
	if group := annotations[Prefix+"group"]; group != "" {
		return group
	}
	if owner == "" {
		return name
	}
	if hash := labels["pod-template-hash"]; hash != "" {
		return strings.TrimSuffix(owner, "-"+hash)
	}
	return owner
}
