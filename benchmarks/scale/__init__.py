"""The real gateway process with ever more live futures."""
