"""What is known of a run: its setup, its task, its weights at the start, and what its layers do."""
