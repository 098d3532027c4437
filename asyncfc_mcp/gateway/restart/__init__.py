"""Futures of earlier processes: read again, and taken up."""
