"""One step of a whole program: are its gradients right, and does it use them rightly?

Read whole_program.py first (the door), then step_verdict.py (the verdict), update_step.py (which rule a step follows),
update_rules.py with update_mistakes.py (the rules, one row each) and several_updates.py (a step of many updates).
used_gradients.py, moments.py, clipping.py and rate_schedule.py find what a step keeps to itself.
"""
