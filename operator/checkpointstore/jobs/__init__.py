"""The data plane: long work, run as Kubernetes Jobs from the operator's own image."""
