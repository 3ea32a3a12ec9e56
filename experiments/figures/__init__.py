"""What experiments draw from their records."""
