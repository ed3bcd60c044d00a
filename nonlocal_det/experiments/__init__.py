"""A suite's tables from one command: every run planned, trained, resumed, paired and reported."""

from .command import reproduce
from .make import make_plan, parse_seeds
from .plan import Plan
from .suites import QUESTIONS, SCHEDULES, SUITES

__all__ = ["QUESTIONS", "SCHEDULES", "SUITES", "Plan", "make_plan", "parse_seeds", "reproduce"]
