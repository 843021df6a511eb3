"""A real Kubernetes of three nodes on one plain Debian host, without a container engine."""
