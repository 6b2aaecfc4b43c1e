"""The diagnosis of a bad run: symptoms with a number, causes, and a proof by training again with one change.

Read diagnose.py first (the door), then session.py (what is done in which order), facts/ (what is known of a run),
symptoms/ (what looks wrong), causes/ (what may explain it), proof/ (what training again shows) and result.py.
"""
