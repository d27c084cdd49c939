package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/lua"
	"github.com/argoproj/gitops-engine/pkg/health"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The ConfigMap that users apply.
const healthFile = "../../../deploy/argo-cd/health.yaml"

const healthSetting = "resource.customizations.health."

// healthChecks are the health checks of the file, as Argo CD's settings hold them: by group and kind.
func healthChecks(t *testing.T) lua.ResourceHealthOverrides {
	t.Helper()
	content, err := os.ReadFile(healthFile)
	if err != nil {
		t.Fatal(err)
	}
	var settings corev1.ConfigMap
	if err := yaml.UnmarshalStrict(content, &settings); err != nil {
		t.Fatal(err)
	}
	checks := lua.ResourceHealthOverrides{}
	for key, script := range settings.Data {
		groupAndKind, found := strings.CutPrefix(key, healthSetting)
		if !found {
			t.Fatalf("%s is no health check", key)
		}
		checks[strings.Replace(groupAndKind, "_", "/", 1)] = v1alpha1.ResourceOverride{HealthLua: script}
	}
	return checks
}

// A condition is type, status and reason, as in "Ready=True/Published".
func object(kind, spec string, observed, generation int64, conditions ...string) *unstructured.Unstructured {
	var list []any
	for _, condition := range conditions {
		kindOf, rest, _ := strings.Cut(condition, "=")
		status, reason, _ := strings.Cut(rest, "/")
		list = append(list, map[string]any{"type": kindOf, "status": status, "reason": reason, "message": "about " + reason})
	}
	status := map[string]any{"observedGeneration": observed}
	if list != nil {
		status["conditions"] = list
	}
	parsed := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &parsed); err != nil {
		panic(err)
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "doclusteraccess.dev/v1alpha1",
		"kind":       kind,
		"metadata":   map[string]any{"name": "prod", "generation": generation},
		"spec":       parsed,
		"status":     status,
	}}
}

func access(conditions ...string) *unstructured.Unstructured {
	return object("DOClusterAccess", "{}", 2, 2, conditions...)
}

func account(conditions ...string) *unstructured.Unstructured {
	return object("DOAccount", "{}", 2, 2, conditions...)
}

func TestTheHealthOfAnAccessAndOfAnAccountIsWhatTheirConditionsSay(t *testing.T) {
	unreported := access()
	delete(unreported.Object, "status")
	suspended := func(conditions ...string) *unstructured.Unstructured {
		return object("DOClusterAccess", "{suspend: true}", 2, 2, conditions...)
	}
	cases := []struct {
		name    string
		object  *unstructured.Unstructured
		status  health.HealthStatusCode
		message string
	}{
		{"one that nobody has seen", unreported, health.HealthStatusProgressing, "has not seen"},
		// The definition's default.
		{"a fresh one", object("DOClusterAccess", "{}", -1, 1), health.HealthStatusProgressing, "has not seen"},
		{"one of another version", object("DOClusterAccess", "{}", 1, 2, "Ready=True/Published"), health.HealthStatusProgressing, "has not seen"},
		{"one without conditions", access(), health.HealthStatusProgressing, "not reported"},
		{"a published one", access("Ready=True/Published", "Synced=True/UpToDate", "Verified=True/Accepted"), health.HealthStatusHealthy, "about Published"},
		{"one that nobody could verify", access("Ready=True/Published", "Synced=True/UpToDate", "Verified=Unknown/Unreachable"), health.HealthStatusHealthy, "about Published"},
		{"one whose renewal fails", access("Ready=True/Published", "Synced=False/ApiUnavailable"), health.HealthStatusHealthy, "about ApiUnavailable"},
		{"one that waits for DigitalOcean", access("Ready=False/NotIssued", "Synced=False/ApiUnavailable"), health.HealthStatusProgressing, "about ApiUnavailable"},
		{"one that is being issued", access("Ready=False/NotIssued"), health.HealthStatusProgressing, "about NotIssued"},
		{"one whose Secret is being healed", access("Ready=False/OutputMissing", "Synced=True/UpToDate"), health.HealthStatusProgressing, "about OutputMissing"},
		{"a stalled one", access("Ready=False/NotIssued", "Synced=False/Unauthorized", "Stalled=True/Unauthorized"), health.HealthStatusDegraded, "about Unauthorized"},
		{"an expired one", access("Ready=False/Expired", "Synced=False/ApiUnavailable"), health.HealthStatusDegraded, "about ApiUnavailable"},
		{"one that has just expired", access("Ready=False/Expired", "Synced=True/UpToDate"), health.HealthStatusDegraded, "about Expired"},
		{"a suspended one", suspended("Ready=True/Published", "Synced=Unknown/Suspended"), health.HealthStatusSuspended, "about Published"},
		{"a suspended one that was never issued", suspended("Ready=False/NotIssued", "Synced=Unknown/Suspended"), health.HealthStatusSuspended, "about NotIssued"},
		{"a suspended one that has expired", suspended("Ready=False/Expired", "Synced=Unknown/Suspended"), health.HealthStatusDegraded, "about Expired"},
		{"an account whose token works", account("Ready=True/Usable"), health.HealthStatusHealthy, "about Usable"},
		{"an account whose token does not", account("Ready=False/Unauthorized"), health.HealthStatusDegraded, "about Unauthorized"},
		{"an account without a token", account("Ready=False/TokenSecretNotFound"), health.HealthStatusDegraded, "about TokenSecretNotFound"},
		{"an account while DigitalOcean is away", account("Ready=False/ApiUnavailable"), health.HealthStatusProgressing, "about ApiUnavailable"},
		{"an account that has to wait", account("Ready=False/RateLimited"), health.HealthStatusProgressing, "about RateLimited"},
		{"a fresh account", object("DOAccount", "{}", -1, 1), health.HealthStatusProgressing, "has not seen"},
		{"an account without conditions", account(), health.HealthStatusProgressing, "not reported"},
	}
	checks := healthChecks(t)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			result, err := checks.GetResourceHealth(test.object)
			if err != nil {
				t.Fatal(err)
			}
			if result == nil {
				t.Fatal("there is no health check for it")
			}
			if result.Status != test.status || !strings.Contains(result.Message, test.message) {
				t.Error(fmt.Sprintf("%s: %s", result.Status, result.Message))
			}
		})
	}
}
