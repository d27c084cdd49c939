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

{{/* What the schema cannot say in a sentence that helps. */}}
{{- define "do-cluster-access.validate" -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "replicas is above 1 but leaderElection.enabled is false: two operators would renew the same credentials. Enable leader election or run one replica." -}}
{{- end -}}
{{- end }}
