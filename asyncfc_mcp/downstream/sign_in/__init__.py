"""Signing in to remote servers: who asks, how it is done, and where what it gave is kept."""
