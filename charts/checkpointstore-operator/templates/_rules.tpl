{{/* Every right the operator holds, each once: roles.yaml only decides between a ClusterRole and a Role a namespace. */}}

{{/* In every namespace that may hold a CheckpointStore. */}}
{{- define "operator.rules.stores" -}}
# The stores themselves. The operator never writes a store's spec; `patch` is for annotations it has carried out
# and for the one finalizer it may set.
- apiGroups: [checkpointstore.dev]
  resources: [checkpointstores]
  verbs: [get, list, watch, patch]
- apiGroups: [checkpointstore.dev]
  resources: [checkpointstores/status]
  verbs: [patch]
# Backups that are due become objects, and go when they have left the repository.
- apiGroups: [checkpointstore.dev]
  resources: [checkpointbackups]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [checkpointstore.dev]
  resources: [checkpointbackups/status]
  verbs: [patch]
# Owner references with blockOwnerDeletion ask for this where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [checkpointstore.dev]
  resources: [checkpointstores/finalizers]
  verbs: [update]
# What a store is made of. Server-Side Apply needs `create` and `patch`.
- apiGroups: [apps]
  resources: [statefulsets, deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, create, patch, delete]
# By name only: without `list` and `watch` a stolen token does not enumerate a namespace's Secrets.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
# Volumes are made by the StatefulSet, but for one that is filled from a backup first; the operator grows them, and
# deletes them where reclaimPolicy says so.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
# Nobody may grant a right that he does not hold: these two also hold what Patroni needs (the leader record in
# Endpoints, its label on the pods), which the operator hands to each store's ServiceAccount.
- apiGroups: [""]
  resources: [endpoints]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, update, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Cluster-scoped, only when every namespace is served. */}}
{{- define "operator.rules.cluster" -}}
# Whether the cluster has a default StorageClass. Without this right the operator assumes that it has.
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [list]
{{- end }}

{{/* In the operator's own namespace. */}}
{{- define "operator.rules.own" -}}
# The Lease that keeps a second replica waiting. `create` cannot be bound to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [checkpointstore-operator]
  verbs: [get, update]
{{- end }}
