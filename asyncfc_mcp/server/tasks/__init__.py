"""Futures as tasks of the extension `io.modelcontextprotocol/tasks`, towards clients that know it."""
