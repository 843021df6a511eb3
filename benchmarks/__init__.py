"""What the product promises in figures, measured on a real cluster: one module a question."""
