"""The mistakes that the examiner knows, one declaration each: at activations, at layers, in sums over samples."""
