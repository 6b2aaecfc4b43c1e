"""The clinic: why a network does not learn, with proof."""

from typing import TYPE_CHECKING

from tinygrad_edu.clinic.diagnosis.diagnose import diagnose, diagnose_curve, diagnose_history
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.examiner.check import check_backprop, check_step
from tinygrad_edu.clinic.examiner.check import check_lists as check_lists  # older programs call it; not listed
from tinygrad_edu.clinic.examiner.distinguish import Probe
from tinygrad_edu.clinic.examiner.grade import Grade, grade
from tinygrad_edu.clinic.examiner.lines.lines import FoundPlace
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip
from tinygrad_edu.clinic.examiner.steps.whole_program import check_program
from tinygrad_edu.elsewhere import habits

__all__ = [
    "BackpropReport", "Diagnosis", "FoundCause", "FoundPlace", "FoundSlip", "Grade", "Probe", "check_backprop",
    "check_program", "check_step", "diagnose", "diagnose_curve", "diagnose_history", "grade",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)
