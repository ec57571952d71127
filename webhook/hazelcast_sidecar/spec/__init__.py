"""What annotations and settings ask for."""
