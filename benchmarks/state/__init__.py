"""What a decision costs on each store, and how that cost grows with what is stored."""
