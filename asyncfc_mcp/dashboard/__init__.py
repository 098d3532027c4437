"""Pages for people and monitors over HTTP."""
