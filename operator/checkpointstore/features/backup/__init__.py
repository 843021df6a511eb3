"""Backups of a store with pgBackRest: when they are due, and how long they are kept."""
