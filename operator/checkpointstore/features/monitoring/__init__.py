"""What a person is told of a store beyond whether it works: exceeded thresholds, and what it should be given."""
