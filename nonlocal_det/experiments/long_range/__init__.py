"""The long-range benchmark around a training: its data for a backbone, and its figures."""
