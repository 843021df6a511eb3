{{/* What the operator is told: all of its configuration is environment, none of it secret. */}}
{{- define "operator.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- /* Absent, not empty, for every namespace: the API server drops an empty value, and each apply would see a change. */}}
{{- with .Values.watchNamespaces }}
- name: CHECKPOINTSTORE_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: CHECKPOINTSTORE_IMAGE_OPERATOR
  value: {{ include "operator.image" . | quote }}
- name: CHECKPOINTSTORE_IMAGE_POSTGRES
  value: {{ default (printf "docker.io/checkpointstore/postgres:%s" .Chart.AppVersion) .Values.images.postgres | quote }}
- name: CHECKPOINTSTORE_IMAGE_PGBOUNCER
  value: {{ default (printf "docker.io/checkpointstore/pgbouncer:%s" .Chart.AppVersion) .Values.images.pgbouncer | quote }}
- name: CHECKPOINTSTORE_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain | quote }}
{{- with .Values.prometheus.url }}
- name: CHECKPOINTSTORE_PROMETHEUS_URL
  value: {{ . | quote }}
{{- end }}
- name: CHECKPOINTSTORE_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
{{- end }}
