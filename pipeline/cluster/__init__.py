"""The pipeline on Kubeflow or Vertex AI: compiled to a file, run node by node in containers, rehearsed, submitted.

Client libraries are imported where used.
"""
