"""The vocabulary that every other room speaks; it may import only the standard library and pydantic."""
