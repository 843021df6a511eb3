"""What a person is told of a store beyond whether it works: exceeded thresholds, what it should have, what it costs."""
