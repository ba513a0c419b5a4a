"""The compiled likelihood: value, gradient and Hessian of many points at once, and its fits."""
