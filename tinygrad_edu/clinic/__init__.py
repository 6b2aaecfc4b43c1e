"""The clinic: why a network does not learn, with proof."""

from tinygrad_edu.clinic.backprop import check_backprop, check_step
from tinygrad_edu.clinic.diagnosis import Diagnosis, FoundCause
from tinygrad_edu.clinic.doctor import diagnose, diagnose_curve
from tinygrad_edu.clinic.lists import check_lists
from tinygrad_edu.clinic.probe import Probe
from tinygrad_edu.clinic.report import BackpropReport, FoundSlip

__all__ = [
    "BackpropReport", "Diagnosis", "FoundCause", "FoundSlip", "Probe", "check_backprop", "check_lists", "check_step",
    "diagnose", "diagnose_curve",
]  # fmt: skip
