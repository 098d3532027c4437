"""From a request to a call that the scheduler knows."""
