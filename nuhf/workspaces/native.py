"""The pyhf modifier ``powerfactor``: a sample multiplied by theta to an integer power.

A rate that is a polynomial in its couplings has one sample per monomial. With ``powerfactor``
the sample of q^2 r carries ``{"name": "q", "type": "powerfactor", "data": {"exponent": 2}}``
and the same for r with exponent 1: exact, and any number of couplings. The exponent belongs to
the sample: one name may have different exponents on different samples, and may also be a plain
``normfactor`` elsewhere, because both ask pyhf for the same kind of parameter.

Files are validated as strictly as pyhf validates its own: the schema is the installed one plus
this modifier. Files without the modifier load through the same functions.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyhf
from pyhf.modifiers import histfactory_set
from pyhf.modifiers.normfactor import normfactor_builder, normfactor_combined

from nuhf.arrays import FloatArray
from nuhf.errors import ModelError
from nuhf.workspaces.impossible import places, refuse_content, refuse_shape

#: Largest exponent: the neutron-radius templates need degree 8.
MAX_EXPONENT = 8

_SHOWN = 300
"""Characters of pyhf's words on a fault; the sample with it may be part of them."""

#: Interpolation of normsys and histosys; pyhf's own defaults, written down because exactness
#: at alpha = 0 and +-1 and the linearity of symmetric histosys rest on them.
INTERPOLATION: Mapping[str, Mapping[str, str]] = {
    "normsys": {"interpcode": "code4"},
    "histosys": {"interpcode": "code4p"},
}


class PowerfactorBuilder(normfactor_builder):  # type: ignore[misc]
    """Collect the exponents of all powerfactors, as pyhf collects the masks of normfactors."""

    def collect(
        self, thismod: Mapping[str, Any] | None, nom: Sequence[float]
    ) -> dict[str, list[int]]:
        """Return the exponent for every bin of a sample; 0 where the modifier is absent."""
        return {"mask": [int(thismod["data"]["exponent"]) if thismod else 0] * len(nom)}


class PowerfactorCombined(normfactor_combined):  # type: ignore[misc]
    """Apply all powerfactors of a model at once."""

    name = "powerfactor"

    def _precompute(self) -> None:
        super()._precompute()
        if not self.param_viewer.index_selection:
            return
        tensorlib, _ = pyhf.get_backend()
        exponents = np.tile(np.asarray(self._normfactor_mask), (1, 1, self.batch_size or 1, 1))
        # One mask per multiplication: bin b is multiplied in step n if its exponent is >= n.
        self.steps: list[Any] = [
            tensorlib.astensor(exponents >= n, dtype="bool")
            for n in range(1, int(exponents.max()) + 1)
        ]

    def apply(self, pars: Any) -> Any:
        """Return factors ``[modifier, sample, batch, bin]`` of ``[npars]`` or ``[batch, npars]``.

        None if the model has no powerfactor.
        """
        if not self.param_viewer.index_selection:
            return None
        tensorlib, _ = pyhf.get_backend()
        theta, ones = self.param_viewer.get(pars), self.normfactor_default
        pattern = "msab,m->msab" if self.batch_size is None else "msab,ma->msab"
        theta = tensorlib.einsum(pattern, ones, theta)
        # Multiplied out, because the gradient of power() at theta = 0 is NaN on jax.
        result = ones
        for step in self.steps:
            result = result * tensorlib.where(step, theta, ones)
        return result


def modifier_set() -> dict[str, tuple[Any, Any]]:
    """Return pyhf's modifiers plus ``powerfactor``, for ``pyhf.Model(modifier_set=...)``."""
    return {**histfactory_set, "powerfactor": (PowerfactorBuilder, PowerfactorCombined)}


_POWERFACTOR: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "type": {"const": "powerfactor"},
        "data": {
            "type": "object",
            "properties": {"exponent": {"type": "integer", "minimum": 1, "maximum": MAX_EXPONENT}},
            "required": ["exponent"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "type", "data"],
    "additionalProperties": False,
}


@contextmanager
def extended_schema() -> Iterator[None]:
    """Let pyhf validate against its installed schema plus ``powerfactor`` inside the block.

    pyhf keeps its schemas per process, so the block is not safe against other threads that
    validate at the same time. Nested blocks are fine.
    """
    variables, file = pyhf.schema.variables, f"{pyhf.schema.version}/defs.json"
    outer, variables.SCHEMA_CACHE = variables.SCHEMA_CACHE, {}
    try:
        schema = pyhf.schema.load_schema(file)
        definitions = schema["definitions"]
        allowed = definitions["sample"]["properties"]["modifiers"]["items"]["anyOf"]
        allowed.append({"$ref": "#/definitions/modifier/powerfactor"})
        definitions["modifier"]["powerfactor"] = _POWERFACTOR
        # jsonschema asks for it by its address in the web or on the disk, as its version is
        variables.SCHEMA_CACHE[Path(pyhf.schema.path).joinpath(file).as_uri()] = schema
        yield
    finally:
        variables.SCHEMA_CACHE = outer


def _explain(spec: Mapping[str, Any], error: Exception) -> str:
    """Put a schema violation into words; powerfactors first, as pyhf's text hides them."""
    try:
        for where, sample in places(spec):
            for modifier in sample["modifiers"]:
                if modifier.get("type") != "powerfactor":
                    continue
                data = modifier.get("data")
                exponent = data.get("exponent") if isinstance(data, Mapping) else None
                if exponent not in range(1, MAX_EXPONENT + 1) or exponent is True:
                    return (
                        f"powerfactor '{modifier.get('name')}' on {where} has data {data!r}; "
                        f'allowed is {{"exponent": n}} with an integer n from 1 to {MAX_EXPONENT}'
                    )
    except (AttributeError, KeyError, TypeError):
        pass  # Not even shaped like a workspace: pyhf's own words are the better ones.
    text = str(error)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."
    return f"the specification does not follow the pyhf schema: {shown}"


def load_workspace(spec: Mapping[str, Any], validate: bool = True) -> pyhf.Workspace:
    """Validate a workspace specification and wrap it.

    Parameters
    ----------
    spec : mapping
        The parsed JSON of a pyhf workspace, with or without ``powerfactor``.
    validate : bool
        Whether to hold it against the schema; what nuhf itself encoded follows it.

    Returns
    -------
    pyhf.Workspace
        The workspace; it holds a copy of ``spec``.

    Raises
    ------
    ModelError
        If the specification breaks the schema, or for what `nuhf.workspaces.impossible` refuses.
    """
    refuse_shape(spec)
    with extended_schema() if validate else contextlib.nullcontext():
        try:
            workspace = pyhf.Workspace(dict(spec), validate=validate)
        except (
            pyhf.exceptions.InvalidSpecification,
            pyhf.exceptions.SchemaNotFound,
        ) as error:
            raise ModelError(_explain(spec, error)) from error
    refuse_content(workspace)
    return workspace


def load_model(
    spec: Mapping[str, Any], measurement: str | None = None, validate: bool = True
) -> tuple[pyhf.Model, FloatArray]:
    """Build model and data of a workspace specification.

    Parameters
    ----------
    spec : mapping
        The parsed JSON of a pyhf workspace, with or without ``powerfactor``.
    measurement : str, optional
        Name of the measurement; the first one by default.
    validate : bool
        As in `load_workspace`.

    Returns
    -------
    model : pyhf.Model
        The model, interpolated with code4 (normsys) and code4p (histosys).
    data : ndarray, shape (n_bins + n_auxiliary,)
        Observed counts followed by the auxiliary data, in the order of the model.

    Raises
    ------
    ModelError
        If the specification, its measurement or its observations cannot make a model.
    """
    workspace = load_workspace(spec, validate)
    if measurement is not None and measurement not in workspace.measurement_names:
        raise ModelError(
            f"no measurement '{measurement}' in the workspace; "
            f"it has {', '.join(map(repr, workspace.measurement_names))}"
        )
    settings = {kind: dict(setting) for kind, setting in INTERPOLATION.items()}
    # pyhf squares and divides the uncertainties of shapesys and staterror
    with np.errstate(over="raise"):
        try:
            model = workspace.model(
                measurement_name=measurement,
                modifier_set=modifier_set(),
                modifier_settings=settings,
                validate=False,  # what it consists of was validated
            )
            model.config.suggested_bounds()
        except TypeError as error:
            raise ModelError(f"pyhf cannot build this model: TypeError: {error}") from error
        except (
            pyhf.exceptions.InvalidModel,
            pyhf.exceptions.InvalidModifier,
            pyhf.exceptions.InvalidNameReuse,
            pyhf.exceptions.InvalidSpecification,
        ) as error:
            raise ModelError(f"pyhf cannot build this model: {error}") from error
        except ArithmeticError as error:
            raise ModelError(
                f"pyhf cannot build this model, numbers in it are too small or too large: {error}"
            ) from error
    return model, _observed(workspace, model)


def _observed(workspace: pyhf.Workspace, model: pyhf.Model) -> FloatArray:
    counts: list[float] = []
    for channel, n_bins in model.config.channel_nbins.items():
        observed = workspace.observations.get(channel)
        if observed is None or len(observed) != n_bins:
            given = "none" if observed is None else str(len(observed))
            raise ModelError(
                f"channel '{channel}' has {n_bins} bins and {given} observed counts; "
                "one count per bin is needed"
            )
        counts += observed
    return np.asarray([*counts, *model.config.auxdata], dtype=np.float64)
