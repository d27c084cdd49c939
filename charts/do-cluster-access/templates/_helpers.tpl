{{/* The chart's name as it appears in labels. */}}
{{- define "do-cluster-access.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The name of the objects of this release; at most 63 characters, for it becomes a label value. */}}
{{- define "do-cluster-access.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The labels that select this release's pods. They never change: a Deployment's selector is immutable. */}}
{{- define "do-cluster-access.selectorLabels" -}}
app.kubernetes.io/name: {{ include "do-cluster-access.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every object. The chart's own win over commonLabels, so that a selector cannot be broken. */}}
{{- define "do-cluster-access.labels" -}}
{{- $own := dict
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
    "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63 | trimSuffix "-")
    "app.kubernetes.io/managed-by" .Release.Service
    "app.kubernetes.io/part-of" "do-cluster-access" -}}
{{- merge (include "do-cluster-access.selectorLabels" . | fromYaml) $own .Values.commonLabels | toYaml -}}
{{- end }}

{{/* The labels of the pods. */}}
{{- define "do-cluster-access.podLabels" -}}
{{- merge (include "do-cluster-access.labels" . | fromYaml) .Values.podLabels | toYaml -}}
{{- end }}

{{/* The ServiceAccount that the pods run as. */}}
{{- define "do-cluster-access.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "do-cluster-access.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* The image reference: a digest decides when there is one. */}}
{{- define "do-cluster-access.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* Topology spread constraints, with this release's pods as the default selector. */}}
{{- define "do-cluster-access.topologySpreadConstraints" -}}
{{- $selector := dict "matchLabels" (include "do-cluster-access.selectorLabels" . | fromYaml) -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (hasKey . "labelSelector" | ternary . (set (deepCopy .) "labelSelector" $selector)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end }}

{{/* A name with an end of its own, at most 63 characters: (list context end). */}}
{{- define "do-cluster-access.suffixed" -}}
{{- $end := index . 1 -}}
{{- $room := sub 62 (len $end) | int -}}
{{- printf "%s-%s" (include "do-cluster-access.fullname" (index . 0) | trunc $room | trimSuffix "-") $end -}}
{{- end }}

{{/* The Service for metrics, and the label by which it is told from other Services of the release. */}}
{{- define "do-cluster-access.metricsName" -}}
{{- include "do-cluster-access.suffixed" (list . "metrics") -}}
{{- end }}
{{- define "do-cluster-access.metricsLabels" -}}
{{- merge (dict "app.kubernetes.io/component" "metrics") (include "do-cluster-access.labels" . | fromYaml) | toYaml -}}
{{- end }}

{{/* The labels of an object that monitoring looks for by a label: (list context labels). */}}
{{- define "do-cluster-access.monitoringLabels" -}}
{{- merge (include "do-cluster-access.labels" (index . 0) | fromYaml) (index . 1) | toYaml -}}
{{- end }}

{{/* The ports that the pods connect to, beside that of DNS. */}}
{{- define "do-cluster-access.egressPorts" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.egressPorts -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- with .Values.digitalocean.apiUrl -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "443" | int) -}}
{{- end -}}
{{- uniq $ports | toYaml -}}
{{- end }}

{{/* The Secret with the API token of the account. */}}
{{- define "do-cluster-access.tokenSecretName" -}}
{{- if .Values.account.token -}}
{{- include "do-cluster-access.suffixed" (list . "account") -}}
{{- else -}}
{{- .Values.account.existingSecret.name -}}
{{- end -}}
{{- end }}

{{/* The account. */}}
{{- define "do-cluster-access.account" -}}
apiVersion: doclusteraccess.dev/v1alpha1
kind: DOAccount
metadata:
  name: {{ .Values.account.name }}
  labels:
    {{- include "do-cluster-access.labels" . | nindent 4 }}
  annotations:
    # Argo CD asks the API server about all objects before it creates the first one.
    argocd.argoproj.io/sync-options: SkipDryRunOnMissingResource=true
spec:
  tokenSecretRef:
    name: {{ include "do-cluster-access.tokenSecretName" . }}
    key: {{ .Values.account.existingSecret.key }}
  {{- with .Values.account.allowedNamespaces }}
  allowedNamespaces:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $clusters := dict -}}
  {{- range $key, $allowed := .Values.account.allowedClusters -}}
  {{- if $allowed -}}
  {{- $_ := set $clusters $key $allowed -}}
  {{- end -}}
  {{- end -}}
  {{- with $clusters }}
  allowedClusters:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/*
Whether Helm can create the account; empty where it cannot. Helm looks the kinds of all objects up before it creates the
first one, so that an object cannot be in the release that brings its definition. Whatever renders without an API
server (Argo CD, `helm template`) gets it in any case.
*/}}
{{- define "do-cluster-access.accountCanBeCreated" -}}
{{- $defined := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "doaccounts.doclusteraccess.dev" -}}
{{- if or (not .Values.crds.install) $defined (not (lookup "v1" "Namespace" "" "kube-system")) -}}
true
{{- end -}}
{{- end }}

{{/* A namespace whose accesses are served. */}}
{{- define "do-cluster-access.exampleNamespace" -}}
{{- $served := .Values.watchNamespaces -}}
{{- if not $served -}}
{{- range .Values.account.allowedNamespaces -}}
{{- if not (regexMatch "[*?]" .) -}}
{{- $served = append $served . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- default "default" (first $served) -}}
{{- end }}

{{/* What the schema cannot say in a sentence that helps. */}}
{{- define "do-cluster-access.validate" -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "replicas is above 1 but leaderElection.enabled is false: two operators would renew the same credentials. Enable leader election or run one replica." -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) -}}
{{- fail "metrics.serviceMonitor.enabled needs the Service that it finds the pods by: set metrics.service.enabled=true." -}}
{{- end -}}
{{- with .Values.account -}}
{{- if and (not .create) (or .token .existingSecret.name .allowedNamespaces .allowedClusters.ids .allowedClusters.names) -}}
{{- fail "values of an account are set, but account.create is false: set account.create=true, or leave them out." -}}
{{- end -}}
{{- if and .create (not .token) (not .existingSecret.name) -}}
{{- fail "account.create needs an API token: create a Secret with one in the release namespace and name it in account.existingSecret.name, or set account.token." -}}
{{- end -}}
{{- if regexMatch "\\s" .token -}}
{{- fail "account.token holds a space or a line break: set the bare API token." -}}
{{- end -}}
{{- if and .token .existingSecret.name -}}
{{- fail "account.token and account.existingSecret.name are both set: keep one of them." -}}
{{- end -}}
{{- if and .create $.Values.watchNamespaces (not $.Values.rbac.accounts) -}}
{{- fail "account.create with watchNamespaces needs rbac.accounts=true: an operator of chosen namespaces has no right to see accounts without it." -}}
{{- end -}}
{{- end -}}
{{- end }}
