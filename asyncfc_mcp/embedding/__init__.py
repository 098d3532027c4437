"""The gateway as a Python library."""
