"""What is durable, and what of it is in memory."""
