"""Training programs: forward, backward and update of whole epochs in one compiled function."""
