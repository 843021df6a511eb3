{{/* One role and its binding to the operator: (dict "root" $ "cluster" bool "name" "" "namespace" "" "rules" ""). */}}
{{- define "operator.role" -}}
{{- $kind := ternary "ClusterRole" "Role" .cluster }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- if not .cluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels: {{- include "operator.labels" .root | nindent 4 }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- if not .cluster }}
  namespace: {{ .namespace }}
  {{- end }}
  labels: {{- include "operator.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "operator.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
