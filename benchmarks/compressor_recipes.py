"""A recipe of ai-edge-quantizer on a float32 file, in an environment of that package, without TensorFlow and Farebox.

python compressor_recipes.py RECIPE FOLDER FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(name: str, folder: str, target: str) -> None:
    """Writes the file of the folder's float32.tflite; a static recipe is calibrated on 200 rows that fit."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    source = str(Path(folder, "float32.tflite"))
    worker = quantizer.Quantizer(source, getattr(recipe, name)())
    calibration = None
    if worker.need_calibration:
        rows = dict(np.load(Path(folder, "rows.npz")))
        runner = Interpreter(source)
        ((key, signature),) = runner.get_signature_list().items()
        samples = [{each: rows[each][i : i + 1] for each in signature["inputs"]} for i in range(200)]
        calibration = worker.calibrate({key: samples})
    worker.quantize(calibration).export_model(target, overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
