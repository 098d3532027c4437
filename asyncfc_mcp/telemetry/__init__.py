"""What the gateway says about itself to the people who run it."""
