"""A live model, with and without the gateway."""
