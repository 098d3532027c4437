"""The ways to a server: child processes and addresses, each as a pair of message streams."""
