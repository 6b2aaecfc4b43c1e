"""Losses, composed of operations, and what their targets may be.

losses.py holds the cost of one entry or one row and its reductions; class_losses.py is for class numbers and
probabilities of classes. targets.py checks the targets, and target_advice.py says what to write instead of wrong ones.
"""
