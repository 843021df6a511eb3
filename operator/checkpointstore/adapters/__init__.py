"""The edges: one function is one round-trip to one product, and raises nothing but kernel.errors."""
