"""What a learner hands in: checked, copied so that it can be put back, and brought to the names of the parameters.

Read inputs.py first (what is checked), then structure.py (dicts, lists and objects of parameters), gradients.py and
learner_program.py (a whole program). reachable.py copies what a program can reach; patch_math.py exchanges `math`.
"""
