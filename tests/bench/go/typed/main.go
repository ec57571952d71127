// Command typed is a webhook as controller-runtime has them made: typed objects in, the changed object encoded
// again, and the difference of the two texts as the patch.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	admission "k8s.io/api/admission/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/utils/ptr"

	"reference/injection"
	"reference/serving"
)

type injector struct {
	decoder     runtime.Decoder
	container   core.Container
	volumes     []core.Volume
	environment []core.EnvVar
	status      string
	grace       int64
}

func main() {
	serving.Run(func(content []byte) (serving.Review, error) {
		template, err := injection.Read(content)
		if err != nil {
			return nil, err
		}
		scheme := runtime.NewScheme()
		made := injector{status: template.Status, grace: template.GraceSeconds}
		err = errors.Join(
			admission.AddToScheme(scheme), core.AddToScheme(scheme),
			json.Unmarshal(template.Container, &made.container),
			json.Unmarshal(template.Volumes, &made.volumes),
			json.Unmarshal(template.Environment, &made.environment),
		)
		made.decoder = serializer.NewCodecFactory(scheme).UniversalDeserializer()
		return made.review, err
	})
}

func (i injector) review(body []byte) (serving.Answer, error) {
	var review admission.AdmissionReview
	if _, _, err := i.decoder.Decode(body, nil, &review); err != nil {
		return serving.Answer{}, err
	}
	if review.Request == nil {
		return serving.Answer{}, errors.New("no request")
	}
	var pod core.Pod
	if _, _, err := i.decoder.Decode(review.Request.Object.Raw, nil, &pod); err != nil {
		return serving.Answer{}, err
	}
	if err := errors.Join(injection.CheckAnnotations(pod.Annotations), collision(pod.Spec)); err != nil {
		return serving.Answer{}, err
	}
	owner := ""
	if len(pod.OwnerReferences) > 0 {
		owner = pod.OwnerReferences[0].Name
	}
	group := injection.Group(pod.Annotations, pod.Labels, owner, pod.Name)
	i.inject(&pod, group)
	changed, err := json.Marshal(&pod)
	if err != nil {
		return serving.Answer{}, err
	}
	operations, err := jsonpatch.CreatePatch(review.Request.Object.Raw, changed)
	if err != nil {
		return serving.Answer{}, err
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return serving.Answer{}, err
	}
	answer, err := json.Marshal(admission.AdmissionReview{
		TypeMeta: review.TypeMeta,
		Response: &admission.AdmissionResponse{
			UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: ptr.To(admission.PatchTypeJSONPatch),
			AuditAnnotations: map[string]string{"outcome": "injected", "group": group},
		},
	})
	return serving.Answer{Body: answer, UID: string(review.Request.UID), Name: pod.Name, Group: group}, err
}

func (i injector) inject(pod *core.Pod, group string) {
	of := func(text string) string { return strings.ReplaceAll(text, injection.Placeholder, group) }
	pod.Annotations[injection.Status] = of(i.status)
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[injection.Label] = group
	for index := range pod.Spec.Containers {
		container := &pod.Spec.Containers[index]
		container.Env = append(append([]core.EnvVar{}, i.environment...), container.Env...)
	}
	member := *i.container.DeepCopy()
	for index := range member.Env {
		member.Env[index].Value = of(member.Env[index].Value)
	}
	pod.Spec.InitContainers = append([]core.Container{member}, pod.Spec.InitContainers...)
	for _, volume := range i.volumes {
		volume = *volume.DeepCopy()
		if source := volume.ConfigMap; source != nil {
			source.Name = of(source.Name)
		}
		pod.Spec.Volumes = append(pod.Spec.Volumes, volume)
	}
	pod.Spec.TerminationGracePeriodSeconds = &i.grace
}

func collision(spec core.PodSpec) error {
	for _, containers := range [][]core.Container{spec.InitContainers, spec.Containers} {
		for _, container := range containers {
			if container.Name == injection.Member {
				return fmt.Errorf("a container is named %s already", injection.Member)
			}
			for _, port := range container.Ports {
				if port.ContainerPort == injection.Port {
					return fmt.Errorf("port %d is taken", injection.Port)
				}
			}
		}
	}
	return nil
}
