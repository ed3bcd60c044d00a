"""The paper's tables from one command: every run planned, trained, resumed, paired and reported."""

from .command import reproduce
from .plan import Plan, make_plan, parse_seeds
from .suites import SCHEDULES, SUITES

__all__ = ["SCHEDULES", "SUITES", "Plan", "make_plan", "parse_seeds", "reproduce"]
