"""Types of arrays; their shapes are in the docstrings of those who take and return them."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
