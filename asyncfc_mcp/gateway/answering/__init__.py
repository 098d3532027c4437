"""From a future to the answer of a request, and to the moment when it is forgotten."""
