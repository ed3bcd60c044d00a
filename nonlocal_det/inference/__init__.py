"""Inference: the detector, the demo, and attention at query positions."""
