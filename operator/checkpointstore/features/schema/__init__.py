"""The tables that checkpoints live in: applied by a Job, owned by the operator, equal to LangGraph's own."""
