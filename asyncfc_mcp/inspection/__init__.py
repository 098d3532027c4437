"""What is wrong with the servers of a configuration, found by starting them as the gateway would."""
