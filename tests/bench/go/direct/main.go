// Command direct is a webhook the lean way: generic decoding, operations built directly, no typed objects.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"reference/injection"
	"reference/serving"
)

type object = map[string]any

type injector struct {
	container            object
	volumes, environment []any
	status               string
	graceSeconds         int64
}

func main() {
	serving.Run(func(content []byte) (serving.Review, error) {
		template, err := injection.Read(content)
		if err != nil {
			return nil, err
		}
		made := injector{status: template.Status, graceSeconds: template.GraceSeconds}
		err = errors.Join(
			json.Unmarshal(template.Container, &made.container),
			json.Unmarshal(template.Volumes, &made.volumes),
			json.Unmarshal(template.Environment, &made.environment),
		)
		return made.review, err
	})
}

func (i injector) review(body []byte) (serving.Answer, error) {
	var review object
	if err := json.Unmarshal(body, &review); err != nil {
		return serving.Answer{}, err
	}
	request, _ := review["request"].(object)
	pod, _ := request["object"].(object)
	uid, _ := request["uid"].(string)
	metadata, _ := pod["metadata"].(object)
	spec, _ := pod["spec"].(object)
	if uid == "" || spec == nil {
		return serving.Answer{}, errors.New("no review of a Pod")
	}
	annotations, labels := texts(metadata["annotations"]), texts(metadata["labels"])
	if err := injection.CheckAnnotations(annotations); err != nil {
		return serving.Answer{}, err
	}
	if err := collision(spec); err != nil {
		return serving.Answer{}, err
	}
	name, _ := metadata["name"].(string)
	group := injection.Group(annotations, labels, owner(metadata), name)
	patch, err := json.Marshal(i.operations(metadata, spec, group))
	if err != nil {
		return serving.Answer{}, err
	}
	answer, err := json.Marshal(object{
		"apiVersion": "admission.k8s.io/v1",
		"kind":       "AdmissionReview",
		"response": object{
			"uid": uid, "allowed": true, "patchType": "JSONPatch", "patch": patch,
			"auditAnnotations": object{"outcome": "injected", "group": group},
		},
	})
	return serving.Answer{Body: answer, UID: uid, Name: name, Group: group}, err
}

func (i injector) operations(metadata, spec object, group string) []object {
	status := strings.ReplaceAll(i.status, injection.Placeholder, group)
	operations := []object{add("/metadata/annotations/"+escape(injection.Status), status)}
	if metadata["labels"] == nil {
		operations = append(operations, add("/metadata/labels", object{injection.Label: group}))
	} else {
		operations = append(operations, add("/metadata/labels/"+escape(injection.Label), group))
	}
	containers, _ := spec["containers"].([]any)
	for index, container := range containers {
		path := fmt.Sprintf("/spec/containers/%d/env", index)
		if container.(object)["env"] == nil {
			operations = append(operations, add(path, i.environment))
			continue
		}
		for position, variable := range i.environment {
			operations = append(operations, add(fmt.Sprintf("%s/%d", path, position), variable))
		}
	}
	member := of(i.container, group)
	if spec["initContainers"] == nil {
		operations = append(operations, add("/spec/initContainers", []any{member}))
	} else {
		operations = append(operations, add("/spec/initContainers/0", member))
	}
	volumes := of(i.volumes, group).([]any)
	if spec["volumes"] == nil {
		operations = append(operations, add("/spec/volumes", volumes))
	} else {
		for _, volume := range volumes {
			operations = append(operations, add("/spec/volumes/-", volume))
		}
	}
	return append(operations, add("/spec/terminationGracePeriodSeconds", i.graceSeconds))
}

func collision(spec object) error {
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, one := range containers {
			container, _ := one.(object)
			if container["name"] == injection.Member {
				return fmt.Errorf("a container is named %s already", injection.Member)
			}
			ports, _ := container["ports"].([]any)
			for _, port := range ports {
				if port.(object)["containerPort"] == float64(injection.Port) {
					return fmt.Errorf("port %d is taken", injection.Port)
				}
			}
		}
	}
	return nil
}

// of copies a part of the template with the group's name in its places.
func of(part any, group string) any {
	switch part := part.(type) {
	case object:
		copied := make(object, len(part))
		for key, value := range part {
			copied[key] = of(value, group)
		}
		return copied
	case []any:
		copied := make([]any, len(part))
		for index, value := range part {
			copied[index] = of(value, group)
		}
		return copied
	case string:
		return strings.ReplaceAll(part, injection.Placeholder, group)
	}
	return part
}

func owner(metadata object) string {
	owners, _ := metadata["ownerReferences"].([]any)
	if len(owners) == 0 {
		return ""
	}
	name, _ := owners[0].(object)["name"].(string)
	return name
}

func texts(value any) map[string]string {
	found, _ := value.(object)
	copied := make(map[string]string, len(found))
	for key, text := range found {
		copied[key], _ = text.(string)
	}
	return copied
}

func add(path string, value any) object { return object{"op": "add", "path": path, "value": value} }

func escape(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
}
