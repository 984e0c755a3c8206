"""Policies decide every notification before it is sent."""
