"""Compiled pipelines to a cluster: Kubeflow Pipelines or Vertex AI. Client libraries are imported where used."""
