// Objects holds Kubernetes objects against what takes them: those of operators against the operators' own
// types, where an unknown or misspelt field is an error, and every pod against the restricted Pod Security
// Standard, by the code that the API server runs. It reads YAML from standard input, prints one line a
// fault and exits 1 if there is one. The objects of Kubernetes itself are held against the API's schemas
// elsewhere (../validate.py).
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	istio "istio.io/client-go/pkg/apis/security/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	stream "k8s.io/apimachinery/pkg/util/yaml"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// Objects of operators, by apiVersion and kind, each with an empty value of its type.
var custom = map[string]func() any{
	"monitoring.coreos.com/v1 ServiceMonitor":  func() any { return new(monitoring.ServiceMonitor) },
	"monitoring.coreos.com/v1 PrometheusRule":  func() any { return new(monitoring.PrometheusRule) },
	"gateway.networking.k8s.io/v1 HTTPRoute":   func() any { return new(gateway.HTTPRoute) },
	"gateway.networking.k8s.io/v1 GRPCRoute":   func() any { return new(gateway.GRPCRoute) },
	"keda.sh/v1alpha1 ScaledObject":            func() any { return new(keda.ScaledObject) },
	"security.istio.io/v1 PeerAuthentication":  func() any { return new(istio.PeerAuthentication) },
	"security.istio.io/v1 AuthorizationPolicy": func() any { return new(istio.AuthorizationPolicy) },
	"networking.istio.io/v1 DestinationRule":   func() any { return new(istionetworking.DestinationRule) },
}

// Kubernetes' own groups.
var native = map[string]bool{
	"v1": true, "apps/v1": true, "policy/v1": true, "autoscaling/v2": true, "networking.k8s.io/v1": true,
	"rbac.authorization.k8s.io/v1": true,
}

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	documents := stream.NewYAMLReader(bufio.NewReader(os.Stdin))
	read, faults := 0, 0
	fault := func(name, format string, arguments ...any) {
		faults++
		fmt.Printf("%s: %s\n", name, fmt.Sprintf(format, arguments...))
	}
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var object meta.PartialObjectMetadata
		if err == nil {
			err = yaml.Unmarshal(text, &object)
		}
		if err != nil {
			fault(fmt.Sprintf("document %d", read+1), "%v", err)
			break
		}
		if object.Kind == "" {
			continue // A document of comments.
		}
		read++
		name := object.Kind + " " + object.Name
		if empty, ok := custom[object.APIVersion+" "+object.Kind]; ok {
			if err := yaml.UnmarshalStrict(text, empty()); err != nil {
				fault(name, "%v", err)
			}
		} else if !native[object.APIVersion] {
			fault(name, "nothing here knows %s", object.APIVersion)
		}
		pod := podOf(object.Kind, text)
		if pod == nil {
			continue
		}
		restricted := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
		for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				fault(name, "not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
	if read == 0 {
		fault("standard input", "no objects")
	}
	if faults > 0 {
		os.Exit(1)
	}
}

// The pod that an object makes, or nothing.
func podOf(kind string, text []byte) *core.PodTemplateSpec {
	switch kind {
	case "Pod":
		var pod core.Pod
		if yaml.Unmarshal(text, &pod) == nil {
			return &core.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
		}
	case "Deployment":
		var deployment apps.Deployment
		if yaml.Unmarshal(text, &deployment) == nil {
			return &deployment.Spec.Template
		}
	}
	return nil
}
