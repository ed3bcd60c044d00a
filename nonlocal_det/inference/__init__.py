"""Trained models at work: the detector, the demo, attention at a point."""
