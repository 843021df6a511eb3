"""Installs the product on a chosen cluster and lets stock LangGraph agents talk through it, step by step."""
