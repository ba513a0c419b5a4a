"""A workspace as an LHC analysis publishes it, made up but with everything HistFactory has.

Conventions after K. Cranmer et al., CERN-OPEN-2012-016, and the full likelihoods on HEPData:
luminosity as `lumi` with its own constraint, `staterror` per channel, `shapesys` of a data-driven
background, a free `normfactor` fixed by a control region, `normsys` and `histosys` of one name.
"""

import copy


def normfactor(name):
    return {"name": name, "type": "normfactor", "data": None}


def normsys(name, hi, lo):
    return {"name": name, "type": "normsys", "data": {"hi": hi, "lo": lo}}


def histosys(name, hi, lo):
    return {"name": name, "type": "histosys", "data": {"hi_data": hi, "lo_data": lo}}


LUMI = {"name": "lumi", "type": "lumi", "data": None}


def staterror(channel, *errors):
    return {"name": f"staterror_{channel}", "type": "staterror", "data": list(errors)}


_SIGNAL_REGION = {
    "name": "SR_meff",
    "samples": [
        {
            "name": "Signal",
            "data": [4.1, 6.3, 2.2],
            "modifiers": [
                normfactor("mu_SIG"), LUMI, histosys("JES", [4.4, 6.5, 2.3], [3.8, 6.1, 2.1]),
            ],
        },
        {
            "name": "ttbar",
            "data": [31.0, 14.0, 4.2],
            "modifiers": [
                normfactor("mu_ttbar"), LUMI,
                histosys("JES", [32.5, 14.9, 4.5], [29.6, 13.2, 3.9]),
                normsys("JES", 1.02, 0.98), normsys("ttbar_shower", 1.08, 0.93),
                staterror("SR_meff", 1.1, 0.7, 0.3),
            ],
        },
        {
            "name": "fakes",
            "data": [5.0, 2.5, 0.8],
            "modifiers": [{"name": "fakes_SR", "type": "shapesys", "data": [1.5, 0.8, 0.4]},
                          staterror("SR_meff", 0.9, 0.5, 0.2)],
        },
    ],
}  # fmt: skip
_CONTROL_REGION = {
    "name": "CR_ttbar",
    "samples": [
        {
            "name": "ttbar",
            "data": [210.0, 96.0],
            "modifiers": [
                normfactor("mu_ttbar"), LUMI, normsys("JES", 1.03, 0.97),
                normsys("ttbar_shower", 0.97, 1.04), staterror("CR_ttbar", 4.0, 2.8),
            ],
        },
        {
            "name": "Zjets",
            "data": [18.0, 9.0],
            "modifiers": [LUMI, normsys("Zjets_xsec", 1.05, 0.95)],
        },
    ],
}  # fmt: skip
WORKSPACE = {
    "channels": [_SIGNAL_REGION, _CONTROL_REGION],
    "observations": [
        {"name": "SR_meff", "data": [42.0, 21.0, 6.0]},
        {"name": "CR_ttbar", "data": [221.0, 112.0]},
    ],
    "measurements": [
        {
            "name": "NormalMeasurement",
            "config": {
                "poi": "mu_SIG",
                "parameters": [
                    {"name": "lumi", "auxdata": [1.0], "bounds": [[0.915, 1.085]],
                     "inits": [1.0], "sigmas": [0.017]},
                    {"name": "mu_SIG", "bounds": [[0.0, 5.0]], "inits": [1.0]},
                    {"name": "mu_ttbar", "bounds": [[0.0, 3.0]], "inits": [1.0]},
                ],
            },
        }
    ],
    "version": "1.0.0",
}  # fmt: skip


def workspace():
    """A fresh copy."""
    return copy.deepcopy(WORKSPACE)
