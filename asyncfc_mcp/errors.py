"""The root of every error that this package raises on purpose.

Concrete errors stand beside the code that raises them. Each has fields, names the thing, states the fact and shows
the way out.
"""


class GatewayError(Exception):
    """Something this package refuses to do or could not do; its text is written for the person or model reading it."""
