"""What looks wrong, each with a number and a limit: in the curve, the network, the data, and from seed to seed.

Read symptom.py first (how one is declared) and limits.py, then curve.py, network.py, data.py, settings.py and seeds.py:
one function for each symptom.
"""
