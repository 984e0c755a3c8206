"""policytest."""
