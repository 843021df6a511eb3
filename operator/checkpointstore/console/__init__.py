"""A small web console that shows stores to whoever may see them, and changes nothing."""
