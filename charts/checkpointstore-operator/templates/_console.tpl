{{/* Names that no selector of the operator finds, and every right that the console holds. */}}

{{- define "console.selector" -}}
app.kubernetes.io/name: {{ include "operator.name" . }}-console
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "console.labels" -}}
{{ include "console.selector" . }}
app.kubernetes.io/component: console
app.kubernetes.io/part-of: checkpointstore
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "console.rules" -}}
# What it shows, to whoever may get the store. No Secret, and nothing that changes anything.
- apiGroups: [checkpointstore.dev]
  resources: [checkpointstores, checkpointbackups]
  verbs: [list]
- apiGroups: [""]
  resources: [pods, events]
  verbs: [list]
# Whose a token is, and what its bearer may see: questions, of which nothing is kept.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end }}
