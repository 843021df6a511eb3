"""The API people live with: frozen models of each kind, what is read back from the cluster, and the CRD files."""
