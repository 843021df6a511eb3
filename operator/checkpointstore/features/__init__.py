"""Vertical slices, none of which knows another: each has a part of the spec, what it desires, and what it tells."""
