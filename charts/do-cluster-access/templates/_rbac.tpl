{{/*
What the operator may do to the objects that it serves: in every namespace by a ClusterRole, or by a Role in
each watched one. The two variants share this list and cannot drift apart.
*/}}
{{- define "do-cluster-access.accessRules" -}}
- apiGroups: [doclusteraccess.dev]
  resources: [doclusteraccesses]
  verbs: [list, watch]
- apiGroups: [doclusteraccess.dev]
  resources: [doclusteraccesses/status]
  verbs: [patch]
# Secrets are created and updated by server-side apply, which needs create and patch. What is watched of them is
# their metadata; a Secret's data is read only where it concerns an access.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What it may do to accounts, which are cluster-scoped: no Role can grant it. */}}
{{- define "do-cluster-access.accountRules" -}}
- apiGroups: [doclusteraccess.dev]
  resources: [doaccounts]
  verbs: [list, watch]
- apiGroups: [doclusteraccess.dev]
  resources: [doaccounts/status]
  verbs: [patch]
{{- end }}

{{/* The name of the roles for accounts beside the watched namespaces. */}}
{{- define "do-cluster-access.accountsName" -}}
{{- include "do-cluster-access.suffixed" (list . "accounts") -}}
{{- end }}

{{/* The one subject of every binding. */}}
{{- define "do-cluster-access.subjects" -}}
- kind: ServiceAccount
  name: {{ include "do-cluster-access.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
