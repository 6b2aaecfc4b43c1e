"""Further questions of people, rebuilt with data of our own: see bench.clinic.questions.

`python -m bench.clinic.questions bench/clinic/question_cases_more.py`. Made after public questions (the comment says
which, where there is one) when the diagnosis had been written; the causes were set by what the answers say and by
training. The first measurement, before anything was changed for them: notes of 29 November 2026.
"""

from __future__ import annotations

from bench.clinic import question_more_by_hand, question_more_keras, question_more_r_matlab, question_more_sklearn

CASES = {
    **question_more_sklearn.CASES,
    **question_more_keras.CASES,
    **question_more_r_matlab.CASES,
    **question_more_by_hand.CASES,
}
