"""The distribution `farebox`: packages, version ranges of both lanes, the console command."""

from setuptools import find_packages, setup

LANE_A = "python_version < '3.11'"
LANE_B = "python_version >= '3.11'"

setup(
    name="farebox",
    version="0.1.0",
    description="Raw taxi trips to a small, fast, gated on-device fare model, as one TFX pipeline",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["farebox*"]),
    package_data={
        "farebox": ["py.typed"],
        "farebox.components.reporter.page": ["templates/*"],
        # vendor: LiteRT.js, once `make explorer` has fetched it
        "farebox.pipeline.commands.explorer": ["page/*", "vendor/*"],
        "farebox.data": ["*/city.yaml", "*/schema.pbtxt", "*/README.md", "*/*.csv"],
    },
    install_requires=[
        f"tfx>=1.16,<1.17; {LANE_A}",
        f"tfx>=1.21,<1.22; {LANE_B}",
        f"tensorflow>=2.16,<2.17; {LANE_A}",
        f"tensorflow>=2.21,<2.22; {LANE_B}",
        f"tf-keras>=2.16,<2.17; {LANE_A}",
        f"tf-keras>=2.21,<2.22; {LANE_B}",
        "tensorflow-transform",
        "tensorflow-model-optimization>=0.8,<0.9",
        "apache-beam",
        "apscheduler>=3.11,<4",
        "ai-edge-litert",
        "charset-normalizer",
        "cryptography",
        "google-crc32c",
        "isal",
        "jinja2",
        "lightgbm",
        "kfp",
        "kfp-pipeline-spec",
        "markupsafe",
        "matplotlib",
        "numpy",
        "pg8000",
        "prometheus-client",
        "pyarrow",
        "pydantic>=2",
        "pymysql",
        "pyyaml",
        "rich",
        "scikit-learn",
        # Each release is a development version, and has wheels for x86-64 only.
        "tflite-micro>=0.dev20261023182759; platform_machine == 'x86_64'",
        "typer<0.28",  # from 0.28 on each command imports pydantic for its options: 0.2 CPU s
        "dill",  # tfx-bsl 1.16 imports it without declaring it
        "setuptools<81",  # TFX and TFDV still import pkg_resources
        "pip",  # TFX builds wheels at run time
        "wheel",
    ],
    extras_require={"dev": ["hypothesis", "mypy", "pytest", "pytest-timeout", "pytest-xdist", "ruff", "types-PyYAML"]},
    entry_points={"console_scripts": ["farebox=farebox.pipeline.cli:main"]},
)
