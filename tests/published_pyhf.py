"""Small published likelihoods: the validation models of pyhf, with the CLs that it publishes.

Numbers from github.com/scikit-hep/pyhf (Apache-2.0), `validation/data/*.json` and
`tests/test_validation.py` as of commit 00109dad: counts, uncertainties, and the observed CLs at a
strength of 1 with the statistic q, which pyhf compares with ROOT's HistFactory. GaussExample is the
tutorial model of HistFactory, `tests/test_patchset/example_bkgonly.json` there.
"""

MU = {"name": "mu", "type": "normfactor", "data": None}


def _factor(kind, name, data=None):
    return {"name": name, "type": kind, "data": data}


def _norm(name, lo, hi):
    return _factor("normsys", name, {"lo": lo, "hi": hi})


def _shape(name, lo, hi):
    return _factor("histosys", name, {"lo_data": lo, "hi_data": hi})


def workspace(channels, parameters=(), poi="mu"):
    """Make a workspace of ``{channel: (observed, {sample: (counts, *modifiers)})}``."""
    return {
        "channels": [
            {
                "name": name,
                "samples": [
                    {"name": sample, "data": counts, "modifiers": list(modifiers)}
                    for sample, (counts, *modifiers) in samples.items()
                ],
            }
            for name, (_, samples) in channels.items()
        ],
        "observations": [{"name": n, "data": data} for n, (data, _) in channels.items()],
        "measurements": [
            {"name": "validation", "config": {"poi": poi, "parameters": list(parameters)}}
        ],
        "version": "1.0.0",
    }


def _luminosity(**settings):
    return {"name": "lumi", "auxdata": [1.0], "sigmas": [0.1], "inits": [1.0], **settings}


LUMI = _factor("lumi", "lumi")

#: workspace, and the published observed CLs at mu = 1 (q)
MODELS = {
    "1bin_shapesys": (
        workspace({"singlechannel": ([55.0], {
            "signal": ([10.0], MU),
            "background": ([50.0], _factor("shapesys", "uncorr_bkguncrt", [7.0])),
        })}),
        0.4541865416107029,
    ),
    "1bin_lumi": (
        workspace({"channel1": ([120.0], {
            "signal": ([20.0], MU),
            "background1": ([100.0], LUMI),
            "background2": ([0.0], LUMI),
        })}, [_luminosity(bounds=[[0.0, 10.0]])]),
        None,  # its data are those of another model there
    ),
    "1bin_normsys": (
        workspace({"singlechannel": ([120.0, 180.0], {
            "signal": ([30.0, 95.0], MU),
            "background": ([100.0, 150.0], _norm("bkg_norm", 0.90, 1.10)),
        })}),
        0.0006735317023683173,
    ),
    "2bin_histosys": (
        workspace({"singlechannel": ([120.0, 180.0], {
            "signal": ([30.0, 95.0], MU),
            "background": ([100.0, 150.0], _shape("bkg_norm", [98.0, 100.0], [102.0, 190.0])),
        })}),
        0.1001463460725534,
    ),
    "2bin_2channel": (
        workspace({
            "signal": ([110.0, 155.0], {
                "signal": ([10.0, 35.0], MU),
                "background": ([100.0, 150.0],
                               _factor("shapesys", "uncorr_bkguncrt_signal", [10.0, 10.0])),
            }),
            "control": ([205.0, 345.0], {
                "background": ([200.0, 350.0],
                               _factor("shapesys", "uncorr_bkguncrt_control", [5.0, 10.0])),
            }),
        }),
        0.056332621064982304,
    ),
    "2bin_2channel_couplednorm": (
        workspace({
            "signal": ([105.0, 220.0], {
                "signal": ([10.0, 35.0], MU),
                "bkg1": ([100.0, 100.0], _norm("coupled_normsys", 0.9, 1.1)),
                "bkg2": ([50.0, 100.0], _norm("coupled_normsys", 0.5, 1.5)),
            }),
            "control": ([110.0, 105.0], {
                "background": ([100.0, 100.0], _norm("coupled_normsys", 0.9, 1.1)),
            }),
        }),
        0.5906228034705155,
    ),
    "2bin_2channel_coupledhisto": (
        workspace({
            "signal": ([170.0, 220.0], {
                "signal": ([30.0, 35.0], MU),
                "bkg1": ([100.0, 100.0], _shape("coupled_histosys", [90.0, 90.0], [110.0, 110.0])),
                "bkg2": ([50.0, 120.0], _shape("coupled_histosys", [45.0, 45.0], [55.0, 55.0])),
            }),
            "control": ([110.0, 105.0], {
                "background": ([105.0, 100.0],
                               _shape("coupled_histosys", [95.0, 90.0], [110.0, 115.0])),
            }),
        }),
        0.07967400132261188,
    ),
    "2bin_2channel_coupledshapefactor": (
        workspace({
            "signal": ([220.0, 230.0], {
                "signal": ([20.0, 20.0], MU),
                "bkg1": ([100.0, 70.0], _factor("shapefactor", "coupled_shapefactor")),
            }),
            "control": ([200.0, 300.0], {
                "background": ([100.0, 100.0], _factor("shapefactor", "coupled_shapefactor")),
            }),
        }),
        0.5421679124909312,
    ),
    "GaussExample": (
        workspace(
            {"channel1": ([122.0, 112.0], {
                "signal": ([20.0, 10.0], _norm("syst1", 0.95, 1.05),
                           _factor("normfactor", "SigXsecOverSM")),
                "background1": ([100.0, 0.0], LUMI,
                                _factor("staterror", "staterror_channel1",
                                        [5.000000074505806, 0.0]),
                                _norm("syst2", 0.95, 1.05)),
                "background2": ([0.0, 100.0], LUMI,
                                _factor("staterror", "staterror_channel1", [0.0, 10.0]),
                                _norm("syst3", 0.95, 1.05)),
            })},
            [_luminosity(bounds=[[0.5, 1.5]], fixed=True),
             {"name": "SigXsecOverSM", "bounds": [[0.0, 3.0]], "inits": [1.0]}],
            "SigXsecOverSM",
        ),
        None,
    ),
}  # fmt: skip
