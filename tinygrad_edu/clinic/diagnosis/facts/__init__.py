"""What is known of a run: its setup, its task, its weights at the start, and what its layers do.

Read subject.py first (what was trained and how), then task.py (what is to be learned), setup.py (what is needed to
train it again) and measurements.py. foreign.py reads networks of PyTorch and Keras, lbfgs.py estimators.
"""
