"""The running operator, thin and facing kopf: it looks, asks the core for a plan, acts on it, and tells."""
