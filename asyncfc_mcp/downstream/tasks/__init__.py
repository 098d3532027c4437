"""Tasks of servers, in both dialects, followed to their end."""
