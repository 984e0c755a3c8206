"""The engines beside their peers: the same policies, the same candidates, checked answers, and only then the clock."""
