"""The checkpoint tables as langgraph-checkpoint-postgres makes them, and what makes them fast."""

from .shape import VERSION

__all__ = ["VERSION"]
