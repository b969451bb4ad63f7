"""The pipeline as a file that Kubeflow or Vertex AI runs: written, executed node by node in containers, rehearsed."""
