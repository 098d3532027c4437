"""The demonstration: a scripted agent that plans a trip three ways through a real gateway, and what that took."""
