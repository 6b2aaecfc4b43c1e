"""Many runs at once: seeds and settings, in threads or on the workers of joblib."""
