# SPDX-License-Identifier: GPL-2.0-only
# Types of what the package uses of _inject.py, which has none itself: it is carried into others'
# interpreters as it is.
from types import FunctionType
from typing import Any, Callable, List, Optional, Tuple

class Hook:
    def __init__(self, enter: Callable[[], Any], exit: Callable[[Any], Any], gate: Any = ...,
                 idle: Any = ...) -> None: ...

class Point:
    name: str
    path: str
    status: str
    reason: str
    functions: List[str]
    def __init__(self, name: str, path: str, hook: Hook, owner: Any = ...,
                 func: Optional[FunctionType] = ...) -> None: ...

class Injector:
    changed: List[Callable[[], Any]]
    def add(self, points: List[Point]) -> None: ...
    def discard(self, points: List[Point]) -> Optional[List[str]]: ...

def injector() -> Injector: ...
def resolve(path: str) -> Tuple[List[Tuple[str, FunctionType]], Optional[str]]: ...
def _first_step(agen: Any) -> Any: ...
