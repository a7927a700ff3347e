"""What is drawn at random for each film of a batch."""
