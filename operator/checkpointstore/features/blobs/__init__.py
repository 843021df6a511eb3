"""Large values outside the database: where applications put them, and who removes those that nothing refers to."""
