"""Measurements that need the real process; each is a command of its own."""
