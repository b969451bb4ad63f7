"""Retraining as data arrive: one idempotent tick finds new spans, decides, runs the pipeline and writes down why."""
