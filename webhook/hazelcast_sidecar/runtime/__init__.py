"""What every long-running command shares: its log, its admin port, its shutdown."""
