"""Clients' configuration files: finding them, putting the gateway into them, and putting them back."""
