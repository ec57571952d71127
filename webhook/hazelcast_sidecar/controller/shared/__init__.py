"""What the leader's jobs stand on: watches, back-off, the election, metrics."""
