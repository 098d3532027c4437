"""Proposed labels for tools that nobody has labelled, and why two calls may or may not overlap."""
