"""The servers behind the gateway: starting, talking to and listing them."""
