"""What the gateway costs beside no gateway, the barest one, and others."""
