"""Non-local blocks for Detectron2."""
