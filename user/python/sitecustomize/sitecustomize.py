# SPDX-License-Identifier: GPL-2.0-only
"""Found first, since `memprobe-bpf run` put this folder first in PYTHONPATH: has the points of
$MEMPROBE_PYTHON_CONFIG wrapped before the program begins, and then makes way for the system's own
sitecustomize. Whatever goes wrong, the program runs as it would have."""


def _inject(here):
    import json
    import os

    with open(os.environ["MEMPROBE_PYTHON_CONFIG"], encoding="utf-8") as file:
        config = json.load(file)
    places = (
        os.environ.get("MEMPROBE_PYTHON_INJECT"),
        os.path.join(here, "_inject.py"),
        os.path.join(os.path.dirname(here), "memprobe", "_inject.py"),
    )
    path = next(place for place in places if place and os.path.isfile(place))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", 0, True)
    namespace = {"__name__": "__memprobe_inject__"}
    exec(code, namespace)
    namespace["install"](dict(config, is_starting=True))


def _make_way(here):
    """What would have been found without us takes our place; or nothing, of which the
    exception tells `site`."""
    import sys
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    spec = PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        raise ImportError("there is no other sitecustomize", name="sitecustomize")
    module = sys.modules["sitecustomize"] = module_from_spec(spec)
    spec.loader.exec_module(module)


def _main():
    here = __file__.rpartition("/")[0]
    try:
        _inject(here)
    except Exception:
        pass
    _make_way(here)


_main()
