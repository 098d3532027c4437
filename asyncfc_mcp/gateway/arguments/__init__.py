"""What calls say: their arguments against the schemas and labels of their tools, before and after filling in."""
