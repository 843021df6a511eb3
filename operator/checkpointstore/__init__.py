"""CheckpointStore: a Kubernetes operator that keeps the memory of LangGraph agents in PostgreSQL."""

__version__ = "0.1.0"
