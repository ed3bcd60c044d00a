"""A suite's tables from one command: every run planned, trained, resumed, paired and reported.

Imports nothing by itself: the tables need pandas (the extra ``experiments``), the data does not.
"""
