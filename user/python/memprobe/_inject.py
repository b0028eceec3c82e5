# SPDX-License-Identifier: GPL-2.0-only
"""Points in a running program's own functions, put in and taken out again from inside.

This one file is all of it: the monitor carries it into interpreters that the package is not
installed for (Python 3.8 on, the standard library alone). install() and remove() are what it
calls there; the package uses add(), discard(), wrap() and unwrap().

A function keeps its identity: it is given another code object, with the same signature and
free variables, that runs hooks around the original. So whoever holds the function is covered,
and taking it out is giving the old code object back. docs/python_injection.md says what that
does to a function, and what it does not cover.

In here nothing is caught that is not ours: a signal handler of the program may raise anywhere.
No foreign code is run to look at things: dictionaries are read, attributes are not asked for.
"""

import binascii
import functools
import itertools
import keyword
import os
import sys
import zlib
from _thread import allocate_lock, get_ident
from _weakref import ref
from operator import methodcaller
from time import monotonic
from types import CodeType, FunctionType, ModuleType, SimpleNamespace

VERSION = 1
LEVELS = 4
MARKER_PYTHON = 1 << 8  # enum memprobe_marker_flags
NAME_MAX = 127

# What a process that was injected twice finds the first one by. Gone with the last point.
_HOME = "__memprobe_inject_%d__" % VERSION

# A monitor that never attaches, and one that shares with another that has just gone.
_WAIT_S = 30.0
_SETTLE_S = 5.0
_LOCK_S = 1.0
_CHAIN_MAX = 32


class Unsupported(Exception):
    """Cannot be a point; the text says why."""


# --- the code object that takes the original's place ----------------------------------------

_VARARGS, _VARKEYWORDS = 0x04, 0x08
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_SHAPE = _VARARGS | _VARKEYWORDS | _GENERATOR | _COROUTINE | _ASYNC_GENERATOR
# Nested, iterable coroutine, method, and those of "from __future__".
_COPIED = 0x10 | 0x100 | 0x8000000 | 0x1FE0000
_ONLY_AST = 0x400

# Strings that stand for objects until the code is compiled. Attributes of a constant may be
# called without a warning of the compiler; the constant itself may not.
_HOOKS, _GATE, _IDLE = "memprobe: hooks", "memprobe: gate", "memprobe: idle"

# A lambda stands for the original: its code is put in the lambda's place. So the function that
# runs is made in each call, from the globals and free variables of that call, and the code keeps
# none of the program alive: the garbage collector cannot see through code objects.
_ORIGINAL = "(lambda: {free})({args})"
_LAMBDA = "factory.<locals>.wrapper.<locals>.<lambda>"  # its name is a constant up to 3.10
_RUN = {
    0: ["return " + _ORIGINAL],
    _GENERATOR: ["return (yield from %s)" % _ORIGINAL],
    _COROUTINE: ["return await " + _ORIGINAL],
    # There is no "yield from" here. Nothing that passes through is held on to.
    _ASYNC_GENERATOR: [
        "{agen} = " + _ORIGINAL,
        "{step} = 'memprobe: hooks'.first({agen})",
        "while True:",
        "    try:",
        "        {item} = await ({step}, {step} := None)[0]",
        "    except StopAsyncIteration:",
        "        return",
        "    try:",
        "        {sent} = yield ({item}, {item} := None)[0]",
        "    except BaseException as {item}:",
        "        {step} = {agen}.athrow({item})",
        "    else:",
        "        {step} = {agen}.asend(({sent}, {sent} := None)[0])",
    ],
}


def _first_step(agen):
    """Starts an asynchronous generator unseen by the event loop: it belongs to another one,
    which the loop knows, and which closes it."""
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return agen.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _nothing():
    return None


class Idle:
    """What calls that find a gate at 0 are to end, and when: a time of `now()`."""

    __slots__ = ("end", "now", "until", "until_if_used")

    def __init__(self, end=_nothing, now=monotonic):
        self.end = end
        self.now = now
        self.until = float("inf")
        self.until_if_used = float("inf")  # what it becomes when the gate was seen open

    def __reduce__(self):
        return SimpleNamespace, (), {"end": bool, "now": int, "until": 1}


class _Hooks:
    """What the code of a wrapper has among its constants."""

    __slots__ = ("enter", "exit", "first")

    def __init__(self, enter, exit):
        self.enter = enter
        self.exit = exit
        self.first = _first_step

    def silence(self):
        """For code that is out of our hands: what has begun ends, and nothing begins."""
        exit = self.exit
        self.enter = _nothing
        self.exit = lambda call: call is None or exit(call)

    def __reduce__(self):
        # Some send functions of __main__ to other processes by value: it runs bare there.
        first = methodcaller("asend", None)
        return SimpleNamespace, (), {"enter": bool, "exit": bool, "first": first}


class _Signature:
    """Parameters of a code object, as source text to declare and to pass on."""

    def __init__(self, code):
        names = list(code.co_varnames)
        count = code.co_argcount
        self.positional = names[:count]
        self.positional_only = code.co_posonlyargcount
        end = count + code.co_kwonlyargcount
        self.keyword_only = names[count:end]
        self.args = names.pop(end) if code.co_flags & _VARARGS else None
        self.kwargs = names[end] if code.co_flags & _VARKEYWORDS else None
        for name in self.names():
            if not name.isidentifier() or keyword.iskeyword(name):
                raise Unsupported("has a parameter that is no name")

    def names(self):
        extra = [name for name in (self.args, self.kwargs) if name]
        return self.positional + self.keyword_only + extra

    def declared(self):
        parts = list(self.positional)
        if self.positional_only:
            parts.insert(self.positional_only, "/")
        if self.args:
            parts.append("*" + self.args)
        elif self.keyword_only:
            parts.append("*")
        # A default tells no one: those of the function are used.
        parts += self.keyword_only
        if self.kwargs:
            parts.append("**" + self.kwargs)
        return ", ".join(parts)

    def passed(self, is_let_go):
        """Arguments of the call; the last one so that the wrapper holds on to none, if asked."""
        parts = [("", name, name) for name in self.positional]
        if self.args:
            parts.append(("*", self.args, self.args))
        parts += [(name + "=", name, name) for name in self.keyword_only]
        if self.kwargs:
            parts.append(("**", self.kwargs, self.kwargs))
        if not parts:
            return ""
        if is_let_go:
            prefix, name, value = parts[-1]
            dropped = ", ".join("(%s := None)" % name for name in self.names())
            parts[-1] = (prefix, name, "(%s, %s)[0]" % (value, dropped))
        return ", ".join(prefix + value for prefix, _, value in parts)


def _lets_go(code):
    """Whether a function may free what it is called with while it runs: from 3.11 on it owns that
    alone. It has to assign to a parameter, or delete it; what is not known is taken for both."""
    if not (3, 11) <= sys.version_info < (3, 15):
        return sys.version_info >= (3, 15)
    from opcode import opname

    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & _VARARGS) + bool(code.co_flags & _VARKEYWORDS)
    for op, argument in zip(code.co_code[::2], code.co_code[1::2]):
        name = opname[op]
        if name.startswith("DELETE_") or name == "STORE_DEREF" or count > 0xFF:
            return True
        # Some store two, one in each half of the argument.
        if "STORE_FAST" in name and min(argument, argument >> 4, argument & 0xF) < count:
            return True
    return False


def _locals_for(code):
    """Names for the wrapper's variables that the function's own do not have."""
    taken = set(code.co_varnames) | set(code.co_freevars)
    result = {}
    for name in ("call", "agen", "step", "item", "sent"):
        fresh = name
        while fresh in taken:
            fresh += "_"
        result[name] = fresh
    return result


def _docstring(code):
    first = code.co_consts[0] if code.co_consts else None
    return [repr(first)] if isinstance(first, str) and _has_docstring(code) else []


def _has_docstring(code):
    return sys.version_info < (3, 14) or bool(code.co_flags & 0x4000000)


def _source(code, has_gate, has_idle):
    signature = _Signature(code)
    names = _locals_for(code)
    kind = code.co_flags & (_GENERATOR | _COROUTINE | _ASYNC_GENERATOR)
    free = "(%s)" % "".join(name + ", " for name in code.co_freevars)
    args = signature.passed(_lets_go(code))
    run = [line.format(args=args, free=free, **names) for line in _RUN[kind]]
    body = _docstring(code)
    watched = ["%s = 'memprobe: hooks'.enter()" % names["call"], "try:"]
    watched += ["    " + line for line in run]
    watched += ["finally:", "    'memprobe: hooks'.exit(%s)" % names["call"]]
    if has_gate:
        body.append("if 'memprobe: gate'.value:")
        body += ["    " + line for line in watched]
        if kind == _ASYNC_GENERATOR:
            body.append("    return")
        if has_idle:
            body.append("if 'memprobe: idle'.now() >= 'memprobe: idle'.until:")
            body.append("    'memprobe: idle'.end()")
        body += run
    else:
        body += watched
    lines = ["def factory(%s):" % ", ".join(code.co_freevars)]
    keyword_ = "async def" if kind & (_COROUTINE | _ASYNC_GENERATOR) else "def"
    lines.append("    %s wrapper(%s):" % (keyword_, signature.declared()))
    lines += ["        " + line for line in body]
    return "\n".join(lines)


def _on_one_line(node, line):
    """In tracebacks a wrapper shows as the line that the function begins in."""
    if "lineno" in node._attributes:
        node.lineno = node.end_lineno = line
        node.col_offset = node.end_col_offset = -1
    for field in node._fields:
        value = getattr(node, field, None)
        for child in value if isinstance(value, list) else (value,):
            if hasattr(child, "_fields"):
                _on_one_line(child, line)


def _nested_code(code):
    for const in code.co_consts:
        if type(const) is CodeType:
            yield const


def _compile(source, line):
    try:
        tree = compile(source, "<memprobe>", "exec", _ONLY_AST, True)
        _on_one_line(tree, max(line, 1))
        code = compile(tree, "<memprobe>", "exec", 0, True, 0)
    except (SyntaxError, ValueError) as problem:
        raise Unsupported("is of a form that is not known (%s)" % problem) from None
    return next(_nested_code(next(_nested_code(code))))


def _wrapper_code(code, name, hooks, gate, idle):
    """A code object that stands for `code`, with hooks around it."""
    new = _compile(_source(code, gate is not None, idle is not None), code.co_firstlineno)
    if (new.co_flags ^ code.co_flags) & _SHAPE or new.co_freevars != code.co_freevars:
        raise Unsupported("is of a kind that is not known")
    stand_ins = {_HOOKS: hooks, _GATE: gate, _IDLE: idle, _LAMBDA: name}

    def filled_in(const):
        if type(const) is CodeType:
            return code
        return stand_ins.get(const, const) if type(const) is str else const

    fields = {
        "co_name": code.co_name,
        "co_filename": code.co_filename,
        "co_firstlineno": code.co_firstlineno,
        "co_flags": (new.co_flags & ~_COPIED) | (code.co_flags & _COPIED),
        "co_consts": tuple(map(filled_in, new.co_consts)),
    }
    if hasattr(code, "co_qualname"):
        fields["co_qualname"] = code.co_qualname
    return new.replace(**fields)


class Hook:
    """What is run around a function: `enter()` before, whose result `exit()` is given after,
    however it ends. Not when `gate.value` is 0: it is the turn of `idle` then, an Idle. An
    exception of enter() is the caller's; others must not raise."""

    __slots__ = ("enter", "exit", "gate", "idle")

    def __init__(self, enter, exit, gate=None, idle=None):
        self.enter = enter
        self.exit = exit
        self.gate = gate
        self.idle = idle


def _is_open(hook):
    return hook.gate is None or hook.gate.value


def _together(hooks):
    """Several hooks as one: entered in order, left the other way round."""

    def enter():
        entered = []
        try:
            for hook in hooks:
                if _is_open(hook):
                    entered.append((hook.exit, hook.enter()))
        except BaseException:
            leave(entered)
            raise
        if not entered:
            for hook in hooks:
                if hook.idle is not None and hook.idle.now() >= hook.idle.until:
                    hook.idle.end()
        return entered

    def leave(entered):
        for exit, call in reversed(entered):
            exit(call)

    return Hook(enter, leave)


class _Wrapped:
    """A function that is wrapped, and what it was."""

    def __init__(self, func):
        self.ref = ref(func)
        self.original = func.__code__
        self.code = func.__code__
        self.hooks = []
        self._live = None

    def put(self, func):
        """Gives the function the code that its hooks call for. One whose code someone else has
        changed since is left alone: ours may be in there, but does nothing any more."""
        if func.__code__ is not self.code:
            if self._live is not None:
                self._live.silence()
            return False
        code, live = self._build(func) if self.hooks else (self.original, None)
        try:
            func.__code__ = code
        except Exception as problem:  # an audit hook says so
            raise Unsupported("may not be changed: %s" % problem) from None
        self.code, self._live = code, live
        return True

    def _build(self, func):
        hook = self.hooks[0] if len(self.hooks) == 1 else _together(tuple(self.hooks))
        hooks = _Hooks(hook.enter, hook.exit)
        name = func.__qualname__
        return _wrapper_code(self.original, name, hooks, hook.gate, hook.idle), hooks


class _Functions:
    """All functions of the process that are wrapped, by identity."""

    def __init__(self):
        self._by_id = {}

    def add(self, func, hook):
        wrapped = self._by_id.get(id(func))
        if wrapped is None or wrapped.ref() is not func:
            wrapped = self._by_id[id(func)] = _Wrapped(func)
        if hook in wrapped.hooks:
            return
        wrapped.hooks.append(hook)
        try:
            if not wrapped.put(func):
                raise Unsupported("had its code changed by something else")
        except BaseException:
            wrapped.hooks.remove(hook)
            raise

    def discard(self, hook):
        """Takes a hook out of all; returns the functions that could not be put back."""
        left = []
        for key, wrapped in list(self._by_id.items()):
            func = wrapped.ref()
            if func is not None and hook in wrapped.hooks:
                wrapped.hooks.remove(hook)
                try:
                    is_back = wrapped.put(func)
                except Unsupported:
                    is_back = False
                if not is_back:
                    left.append(func)
            if func is None or not wrapped.hooks:
                self._by_id.pop(key, None)
        return left


# --- from a path to functions ---------------------------------------------------------------


_CACHE = getattr(functools, "_lru_cache_wrapper", FunctionType)


def _own_dict(thing):
    """Its dictionary, without asking the thing."""
    if issubclass(type(thing), type):
        return type.__getattribute__(thing, "__dict__")
    if issubclass(type(thing), (ModuleType, FunctionType, _CACHE)):
        return object.__getattribute__(thing, "__dict__")
    return {}


def _is_class(thing):
    return issubclass(type(thing), type)


def _kind_name(thing):
    kind = type(thing)
    return "%s.%s" % (type.__dict__["__module__"].__get__(kind), _class_name(kind))


def _chain(thing):
    """The function and those that it wraps, outermost first, as functools.wraps() tells."""
    chain = []
    while len(chain) < _CHAIN_MAX:
        if issubclass(type(thing), (staticmethod, classmethod)):
            thing = thing.__func__
        elif type(thing) in (FunctionType, _CACHE):
            chain.append(thing)
            if "__wrapped__" not in _own_dict(thing):
                break
            thing = _own_dict(thing)["__wrapped__"]
        else:
            break
    return chain, thing


def _refusal(name, thing):
    if _is_class(thing):
        return "%s is a class: name one of its methods" % name
    if type(thing) in (type(len), type(str.join), type("".join), type(object.__init__)):
        return "%s is built in: only a function that is written in Python can be wrapped" % name
    if type(thing) is property:
        return "%s is a property" % name
    return "%s is no Python function, but a %s" % (name, _kind_name(thing))


def _function_of(name, thing, namespace):
    """The Python function behind an attribute: the innermost of those that wrap one another
    that the module has itself, so that it is the body as written that counts."""
    chain, last = _chain(thing)
    functions = [func for func in chain if type(func) is FunctionType]
    if not functions:
        raise Unsupported(_refusal(name, last))
    own = [func for func in functions if func.__globals__ is namespace]
    return (own or functions)[-1]


def _classes_of(namespace, module_name, seen):
    """Classes that were made in a module, and those within them."""
    for thing in list(namespace.values()):
        if not _is_class(thing) or id(thing) in seen:
            continue
        if _own_dict(thing).get("__module__") == module_name:
            seen.add(id(thing))
            yield thing
            yield from _classes_of(_own_dict(thing), module_name, seen)


def _class_name(cls):
    return type.__dict__["__qualname__"].__get__(cls)


class _Found:
    """What a path led to in one module."""

    def __init__(self):
        self.functions = []  # (name, function)
        self.problems = []
        self.absence = ""  # why there is nothing at all

    def take(self, name, thing, namespace):
        try:
            func = _function_of(name, thing, namespace)
        except Unsupported as problem:
            self.problems.append(str(problem))
            return
        if all(func is not other for _, other in self.functions):
            self.functions.append((name, func))


def _look_anywhere(found, module_name, namespace, attribute):
    if attribute in namespace:
        found.take("%s.%s" % (module_name, attribute), namespace[attribute], namespace)
    for cls in _classes_of(namespace, namespace.get("__name__"), set()):
        if attribute in _own_dict(cls):
            name = "%s.%s.%s" % (module_name, _class_name(cls), attribute)
            found.take(name, _own_dict(cls)[attribute], namespace)
    if not found.functions and not found.problems:
        found.absence = "module %s has no function %s, nor has any of its classes" % (
            module_name,
            attribute,
        )


def _inherited(cls, attribute):
    for base in type.__dict__["__mro__"].__get__(cls)[1:]:
        if attribute in _own_dict(base):
            module = _own_dict(base).get("__module__", "builtins")
            return "%s.%s" % (module, _class_name(base))
    return None


def _look_in_class(found, module_name, namespace, rest):
    scope, where, cls = namespace, module_name, None
    for part in rest[:-1]:
        if part not in scope:
            found.absence = "%s has no %s" % (where, part)
            return
        cls, where = scope[part], "%s.%s" % (where, part)
        if not _is_class(cls):
            found.absence = "%s is no class" % where
            return
        scope = _own_dict(cls)
    name = "%s.%s" % (where, rest[-1])
    if rest[-1] in scope:
        found.take(name, scope[rest[-1]], namespace)
        return
    base = _inherited(cls, rest[-1])
    found.absence = (
        "%s is inherited: name %s.%s" % (name, base, rest[-1])
        if base
        else "%s has no function %s" % (where, rest[-1])
    )


_Spec = type(sys.__spec__)


def _is_loading(module):
    if type(module).__name__ == "_LazyModule":
        return True
    spec = _own_dict(module).get("__spec__")
    return issubclass(type(spec), _Spec) and bool(getattr(spec, "_initializing", False))


def _is_loaded(module):
    return issubclass(type(module), ModuleType) and not _is_loading(module)


def _is_script(namespace, module_name):
    """Whether __main__ is the file that a module of that name would be."""
    path = namespace.get("__file__")
    if type(path) is not str:
        return False
    parts = os.path.splitext(os.path.abspath(path))[0].split(os.sep)
    wanted = module_name.split(".")
    return parts[-len(wanted) :] == wanted


def _modules_named(name, fresh):
    """What is loaded under a name: as a rule one module or none. `fresh` is a (name, module)
    that has just been loaded; it may have put something else in its place."""
    modules = [sys.modules.get(name)]
    if fresh[0] == name and fresh[1] is not modules[0]:
        modules.append(fresh[1])
    result = [(name, module) for module in modules if issubclass(type(module), ModuleType)]
    main = sys.modules.get("__main__")
    if name != "__main__" and issubclass(type(main), ModuleType):
        if main is not modules[0] and _is_script(_own_dict(main), name):
            result.append(("__main__", main))
    return result


def _prefixes(path):
    """Module names that a path may begin with, the longest first."""
    parts = path.split(".")
    return [(".".join(parts[:n]), parts[n:]) for n in range(len(parts) - 1, 0, -1)]


def _look(module, name, rest):
    """None: the path leads on to a module of this package that is not there yet."""
    found = _Found()
    namespace = _own_dict(module)
    if len(rest) == 1:
        _look_anywhere(found, name, namespace, rest[0])
    elif "__path__" in namespace and rest[0] not in namespace:
        return None
    else:
        _look_in_class(found, name, namespace, rest)
    return found


_NO_MODULE = (None, None)


def resolve(path, fresh=_NO_MODULE):
    """What a path, module[.Class].function, leads to now: functions, as (name, function) pairs,
    and a reason when there are none or not all. Reason None without functions: not loaded."""
    for prefix, rest in _prefixes(path):
        functions, problems, absences = [], [], []
        for name, module in _modules_named(prefix, fresh):
            is_loading = module is not fresh[1] and _is_loading(module)
            if is_loading and type(module).__name__ == "_LazyModule":
                continue
            found = _look(module, name, rest)
            if found is None:
                continue
            functions += found.functions
            if not is_loading:
                problems += found.problems
                absences += [found.absence] if found.absence else []
        if functions or problems:
            return functions, "; ".join(problems)
        if absences:
            return [], absences[0]
    return [], None


# --- points, as modules load ----------------------------------------------------------------


class Point:
    """A path whose functions are wrapped once they are there."""

    def __init__(self, name, path, hook, owner=None, func=None):
        self.name = name
        self.path = path
        self.hook = hook
        self.owner = owner  # token of a monitor
        self.func = func and ref(func)  # instead of a path: this one alone
        self.status = "waiting"
        self.reason = ""
        self.functions = []
        self.seen = ()
        self.modules = [] if func else [prefix for prefix, _ in _prefixes(path)]

    def fail(self, reason):
        self.status, self.reason = "failed", reason

    def lead(self, fresh):
        """As resolve()."""
        if self.func is None:
            return resolve(self.path, fresh)
        func = self.func()
        return ([(self.path, func)], "") if func is not None else ([], "is gone")

    def describe(self):
        return {
            "name": self.name,
            "status": self.status,
            "functions": list(self.functions),
            "reason": self.reason,
        }


def _check_path(path):
    if type(path) is not str or not all(part.isidentifier() for part in path.split(".")):
        raise Unsupported("%r is no path of the form module[.Class].function" % (path,))
    if "." not in path:
        raise Unsupported("%s names no module: write module.%s" % (path, path))


class _Loader:
    """Stands for a loader until it has loaded one module. Afterwards no trace of it is left in
    the module."""

    def __init__(self, spec, loaded):
        self._spec = spec
        self._real = spec.loader
        self._loaded = loaded

    # Some ask a loader what it is before they let it load.
    __class__ = property(lambda self: type(self._real))

    def __getattr__(self, name):
        return getattr(self._real, name)

    def __repr__(self):
        return repr(self._real)

    def _step_aside(self, module):
        namespace = _own_dict(module)
        if self._spec.loader is self:
            self._spec.loader = self._real
        if namespace.get("__loader__") is self:
            namespace["__loader__"] = self._real

    def exec_module(self, module):
        self._step_aside(module)
        result = self._real.exec_module(module)
        self._loaded(self._spec.name, module)
        return result


class _OldLoader(_Loader):
    """For those that only have load_module(), as zipimport up to 3.9. Importlib looks for
    exec_module() to tell."""

    @property
    def exec_module(self):
        raise AttributeError("exec_module")

    def load_module(self, name):
        self._spec.loader = self._real
        module = self._real.load_module(name)
        self._loaded(name, module)
        return module


def _with_loader(spec, loaded):
    loader = spec.loader
    if loader is None or type(loader) in (_Loader, _OldLoader):
        return
    if hasattr(loader, "exec_module"):
        spec.loader = _Loader(spec, loaded)
    elif hasattr(loader, "load_module"):
        spec.loader = _OldLoader(spec, loaded)


class _Finder:
    """First in sys.meta_path: has others find the modules of points, and sees them loaded."""

    def __init__(self, injector):
        self._injector = injector
        self._searching = set()
        self._before = None

    def find_spec(self, name, path=None, target=None):
        self._injector.on_import()
        key = (get_ident(), name)
        if name not in self._injector.wanted or key in self._searching:
            return None
        self._searching.add(key)
        try:
            spec = self._ask_others(name, path, target)
        finally:
            self._searching.discard(key)
        if spec is not None:
            _with_loader(spec, self._injector.loaded)
        return spec

    def _ask_others(self, name, path, target):
        for finder in list(sys.meta_path):
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec = find_spec(name, path, target) if find_spec else None
            if spec is not None:
                return spec
        return None

    # Other threads may be going through the list: to take one out of it would make them pass
    # one over. So there is another list while we are in, and the old one afterwards.
    def enter(self):
        if self not in sys.meta_path:
            self._before = sys.meta_path
            sys.meta_path = [self] + self._before

    def leave(self):
        if self._before is None or self not in sys.meta_path:
            return
        now = [finder for finder in sys.meta_path if finder is not self]
        if self._before != now:
            self._before[:] = now
        sys.meta_path = self._before


class _LoadingSpec(_Spec):
    """Spec of a module that is being imported as we come: tells when it is done."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "_initializing" and not value:
            self.let_go()()

    def watch(self, done):
        self.__dict__["_memprobe_done"] = done

    def let_go(self):
        self.__class__ = _Spec
        return self.__dict__.pop("_memprobe_done")


class _LineTrace:
    """Line by line through the body of __main__, up to 3.11: calls of other functions by this
    thread are slower until it ends."""

    def __init__(self, script):
        self._script = script

    def wait(self):
        sys.settrace(self._on_call)

    def follow(self, frame):
        frame.f_trace = self._on_line
        sys.settrace(self._on_call)

    def stop(self):
        if sys.gettrace() == self._on_call:
            sys.settrace(None)
        frame = sys._getframe()
        while frame is not None:
            if frame.f_trace == self._on_line:
                frame.f_trace = None
            frame = frame.f_back

    def _on_call(self, frame, event, argument):
        if self._script.is_body(frame) and self._script.code is None:
            return self._on_line if self._script.begin(frame.f_code) else None
        return None

    def _on_line(self, frame, event, argument):
        if frame.f_code is self._script.code:
            self._script.reach(None if event == "return" else frame.f_lineno)
        return None


class _LineMonitor:
    """The same from 3.12 on, at no cost to other functions."""

    def __init__(self, script):
        self._script = script
        self._monitoring = sys.monitoring
        free = [tool for tool in (4, 3, 2, 1, 0) if not sys.monitoring.get_tool(tool)]
        self._tool = free[0] if free else None

    def _use(self, event, callback):
        if self._monitoring.get_tool(self._tool) is None:
            self._monitoring.use_tool_id(self._tool, "memprobe")
        self._monitoring.register_callback(self._tool, event, callback)

    def wait(self):
        if self._tool is None:
            return
        start = self._monitoring.events.PY_START
        self._use(start, self._on_start)
        self._monitoring.set_events(self._tool, start)

    def follow(self, frame):
        if self._tool is None:
            return
        events = self._monitoring.events
        self._use(events.LINE, self._on_line)
        self._use(events.PY_RETURN, self._on_return)
        wanted = events.LINE | events.PY_RETURN
        self._monitoring.set_local_events(self._tool, frame.f_code, wanted)

    def stop(self):
        tool, monitoring = self._tool, self._monitoring
        if tool is None or monitoring.get_tool(tool) != "memprobe":
            return
        monitoring.set_events(tool, 0)
        if self._script.code is not None:
            monitoring.set_local_events(tool, self._script.code, 0)
        for event in ("PY_START", "LINE", "PY_RETURN"):
            monitoring.register_callback(tool, getattr(monitoring.events, event), None)
        monitoring.free_tool_id(tool)

    def _on_start(self, code, offset):
        frame = sys._getframe(1)
        if self._script.is_body(frame):
            self._monitoring.set_events(self._tool, 0)
            if self._script.begin(code):
                self.follow(frame)

    def _on_line(self, code, line):
        if code is self._script.code:
            self._script.reach(line)

    def _on_return(self, code, offset, value):
        if code is self._script.code:
            self._script.reach(None)


def _last_line(code):
    if hasattr(code, "co_lines"):  # from 3.10 on
        return max((line for _, _, line in code.co_lines() if line), default=0)
    line = last = code.co_firstlineno
    for step in code.co_lnotab[1::2]:
        line += step if step < 0x80 else step - 0x100
        last = max(last, line)
    return last


def _codes_named(code, name):
    """Code of functions of that name that the body of a module, or of its classes, makes."""
    for nested in _nested_code(code):
        if nested.co_name == name and nested.co_flags & 0x2:  # CO_NEWLOCALS: a function's
            yield nested
        elif not nested.co_flags & 0x2:
            yield from _codes_named(nested, name)


class _Script:
    """The body of __main__, which is the program: its functions are there, and called, long
    before it has run. So it is followed line by line until those that are points are made."""

    def __init__(self, refresh):
        self._refresh = refresh
        self._points = []
        self._trace = None
        self._last = 0
        self.code = None

    def watch(self, points, is_starting):
        self.stop()
        frame = sys._getframe()
        while frame is not None and not self.is_body(frame):
            frame = frame.f_back
        if frame is None and not is_starting:
            return
        is_new = hasattr(sys, "monitoring")
        if not is_new and sys.gettrace() is not None:
            return
        self._points = points
        self._trace = (_LineMonitor if is_new else _LineTrace)(self)
        if frame is None:
            self._trace.wait()
        elif self.begin(frame.f_code, frame.f_lineno):
            self._trace.follow(frame)

    def stop(self):
        if self._trace is not None:
            self._trace.stop()
        self._trace, self._points, self.code, self._last = None, [], None, 0

    def is_body(self, frame):
        main = sys.modules.get("__main__")
        return frame.f_code.co_name == "<module>" and frame.f_globals is _own_dict(main)

    def begin(self, code, line=0):
        """Whether there is something to come after a line."""
        namespace = _own_dict(sys.modules["__main__"])
        expected = []
        for point in self._points:
            for name, rest in _prefixes(point.path):
                if name == "__main__" or _is_script(namespace, name):
                    expected += _codes_named(code, rest[-1])
        self._last = max(map(_last_line, expected), default=0)
        if line is not None and line > self._last or not expected:
            self._end()
            return False
        self.code = code
        return True

    def reach(self, line):
        """A line of the body is about to run, or, None, it has ended."""
        if line is None or line > self._last:
            self._end()
        else:
            self._refresh(self._points)

    def _end(self):
        points = self._points
        self.stop()
        self._refresh(points)

    def expects(self, point):
        return point in self._points


class Injector:
    """All points of the process."""

    def __init__(self):
        self.points = []
        self.wanted = frozenset()
        self.changed = []  # called when a point's status may have
        self.idlers = []  # called at imports
        self.session = None  # of monitors
        self._functions = _Functions()
        self._finder = _Finder(self)
        self._specs = []
        self._script = _Script(self.refresh)
        self._lock = allocate_lock()
        self._holder = None

    # The lock is never waited for long, and not at all by a thread that has it, or by a child
    # whose parent had it at fork(): what is left undone is done at the next import.
    def _locked(self, work, *args):
        me = (os.getpid(), get_ident())
        holder = self._holder
        if holder == me:
            return None
        if holder is not None and holder[0] != me[0]:
            self._lock, self._holder = allocate_lock(), None
        lock = self._lock
        if not lock.acquire(True, _LOCK_S):
            return None
        self._holder = me
        try:
            return work(*args)
        finally:
            self._holder = None
            lock.release()

    def add(self, points, is_starting=False):
        """`is_starting`: the program itself has not begun yet."""
        self._locked(self._add, points, is_starting)

    def _add(self, points, is_starting):
        self.points = self.points + points
        self._want()
        sys.__dict__[_HOME] = self
        self._finder.enter()
        self._script.watch(self.points, is_starting)
        for point in points:
            self._update(point)
        self._watch_loading()

    def discard(self, points):
        """Takes points out; returns names of functions that others have changed since."""
        return self._locked(self._discard, points)

    def _discard(self, points):
        self.points = [point for point in self.points if point not in points]
        left = [func for point in points for func in self._let_go(point)]
        self._want()
        if not self.points:
            self._script.stop()
            self._finder.leave()
            for spec in self._specs:
                if type(spec) is _LoadingSpec:
                    spec.let_go()
            self._specs = []
            if sys.__dict__.get(_HOME) is self:
                del sys.__dict__[_HOME]
        return ["%s.%s" % (func.__module__, func.__qualname__) for func in left]

    def _let_go(self, point):
        point.status = "removed"
        others = [other for other in self.points if other.hook is point.hook]
        if any(other.path == point.path for other in others):
            return []
        left = self._functions.discard(point.hook)
        for other in others:
            self._update(other)
        return left

    def _want(self):
        self.wanted = frozenset(name for point in self.points for name in point.modules)

    def _update(self, point, fresh=_NO_MODULE):
        """Wraps what a point's path leads to by now."""
        point.seen = self._loaded_of(point)
        functions, reason = point.lead(fresh)
        problems = [reason] if reason else []
        for name, func in functions:
            try:
                self._functions.add(func, point.hook)
            except Unsupported as problem:
                problems.append("%s %s" % (name, problem))
                continue
            if name not in point.functions:
                point.functions.append(name)
        if point.functions:
            point.status = "attached"
        elif reason is None or self._script.expects(point):
            point.status, problems = "waiting", ["not loaded yet"]
        else:
            point.status = "failed"
        point.reason = "; ".join(problems)

    def _watch_loading(self):
        for name in self.wanted:
            module = sys.modules.get(name)
            if not issubclass(type(module), ModuleType) or not _is_loading(module):
                continue
            spec = _own_dict(module).get("__spec__")
            if type(spec) is _Spec:
                spec.__class__ = _LoadingSpec
                spec.watch(functools.partial(self._was_loading, name, module))
                self._specs.append(spec)

    def _was_loading(self, name, module):
        if sys.modules.get(name) is module:  # or else that has failed
            self.loaded(name, module)

    def loaded(self, name, module):
        """A module's body has run."""
        if name in self.wanted:
            points = [point for point in self.points if name in point.modules]
            self._locked(self._refresh, points, (name, module))

    def refresh(self, points):
        self._locked(self._refresh, points)

    def on_import(self):
        for idle in list(self.idlers):
            idle()
        late = [point for point in self.points if self._is_late(point)]
        if late:
            self._locked(self._refresh, late)

    def _is_late(self, point):
        """Whether a module of it came without our seeing it."""
        return point.seen != self._loaded_of(point)

    @staticmethod
    def _loaded_of(point):
        modules = [sys.modules.get(name) for name in point.modules]
        return [id(module) for module in modules if _is_loaded(module)]

    def _refresh(self, points, fresh=_NO_MODULE):
        for point in points:
            self._update(point, fresh)
        for changed in list(self.changed):
            changed()


def injector():
    """The one of this process: made when there is none, shared by all that put points in."""
    return sys.__dict__.get(_HOME) or Injector()


def add(path, enter, exit, gate=None, name=None):
    """Runs hooks (see Hook) around what a path leads to, now and when its modules load. Returns
    a Point, whose `status` is attached, waiting, or failed for a `reason`."""
    point = Point(str(name or path), str(path), Hook(enter, exit, gate))
    try:
        _check_path(path)
        injector().add([point])
    except Unsupported as problem:
        point.fail(str(problem))
    return point


def wrap(func, enter, exit, gate=None):
    """The same for one function that is at hand. Raises Unsupported."""
    name = "%s.%s" % (getattr(func, "__module__", None), getattr(func, "__qualname__", func))
    if type(func) is not FunctionType:
        raise Unsupported(_refusal(name, func))
    point = Point(name, name, Hook(enter, exit, gate), func=func)
    injector().add([point])
    if point.status == "failed":
        discard(point)
        raise Unsupported(point.reason)
    return point


def discard(point):
    """Undoes add() or wrap()."""
    home = sys.__dict__.get(_HOME)
    if home is not None and point in home.points:
        home.discard([point])


# --- markers: what the kernel sees ----------------------------------------------------------


def _fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _memfd(data):
    import ctypes

    exec_flag, cloexec = 0x10, 0x1  # MFD_EXEC: asked for where memfd_noexec is set, from 6.3 on
    create = getattr(os, "memfd_create", None)
    if create is None:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "memfd_create"):
            raise OSError("no memfd_create")

        def create(name, flags):
            fd = libc.memfd_create(name.encode(), flags)
            if fd < 0:
                raise OSError(ctypes.get_errno(), "memfd_create")
            return fd

    try:
        fd = create("memprobe-marker", cloexec | exec_flag)
    except OSError:
        fd = create("memprobe-marker", cloexec)
    try:
        os.write(fd, data)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _load_from_memory(data):
    """The file name decides whether a library is loaded already: the same one for the same
    bytes, so that a process which is injected often maps it once; spelled as nobody else
    would, for theirs must not be taken for ours."""
    import ctypes
    import fcntl

    fd = _memfd(data)
    try:
        try:
            wanted = 512 + binascii.crc32(data) % 400
            other = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, wanted)
            os.close(fd)
            fd = other
        except OSError:
            pass
        return ctypes.PyDLL("/proc/self//fd/%d" % fd)
    finally:
        os.close(fd)


def _load_from_folder(data, parent):
    import ctypes
    import tempfile

    folder = tempfile.mkdtemp(prefix=".memprobe-", dir=parent)
    path = os.path.join(folder, "memprobe-marker.so")
    try:
        with open(path, "wb") as file:
            file.write(data)
        return ctypes.PyDLL(path)
    finally:
        if os.path.exists(path):
            os.unlink(path)
        os.rmdir(folder)


def _load_library(data):
    problems = []
    loads = [_load_from_memory]
    for parent in (None, "/dev/shm", "/var/tmp"):
        loads.append(functools.partial(_load_from_folder, parent=parent))
    for load in loads:
        try:
            return load(data)
        except OSError as problem:
            problems.append(str(problem))
    raise OSError("no way to load the marker library: %s" % "; ".join(problems))


def _load_marker(marker):
    """From base64 of its zlib-compressed bytes, or from a path. The GIL is kept in calls: a
    marker does nothing, and to give the GIL up costs more than that."""
    import ctypes

    if marker.startswith("/"):
        return ctypes.PyDLL(marker)
    return _load_library(zlib.decompress(binascii.a2b_base64(marker)))


def _markers_of(library):
    from ctypes import c_ushort

    enter, exit = library.memprobe_marker_enter, library.memprobe_marker_exit
    enter.restype = exit.restype = None
    gates = [c_ushort.in_dll(library, "memprobe_%s_semaphore" % name) for name in ("enter", "exit")]
    return Markers(enter, exit, *gates)


def _load_markers(marker):
    return _markers_of(_load_marker(marker))


class Markers:
    """The marker functions, and whether a monitor is on them."""

    def __init__(self, enter, exit, gate, exit_gate):
        self._enter = enter
        self._exit = exit
        self.gate = gate
        self._exit_gate = exit_gate
        # Others in the process count their calls from 1.
        start = 1 << 28 | int.from_bytes(os.urandom(3), "big")
        self._next_call = itertools.count(start).__next__

    def hook(self, name, level, idle):
        """A hook that calls the markers for a point. Arguments are what ctypes passes on with
        the least work: bytes as their address, and integers as 32 bits."""
        from ctypes import c_uint64

        text = os.fsencode(name)
        point = c_uint64(_fnv1a(text))
        grade = level | MARKER_PYTHON
        marker_enter, marker_exit, next_call = self._enter, self._exit, self._next_call
        exit_gate = self._exit_gate

        def enter():
            idle.until = idle.until_if_used
            call = next_call()
            marker_enter(point, text, grade, call, 0)
            return call

        def exit(call):
            if exit_gate.value:
                marker_exit(point, text, grade, call)

        return Hook(enter, exit, self.gate, idle)


# --- what the monitor calls ------------------------------------------------------------------


class _Session:
    """What monitors have put in: shared, as the marker functions are, so that a call is one
    call for each of them. It goes when the last of them has gone."""

    def __init__(self, injector, markers, clock=monotonic):
        self.injector = injector
        self.markers = markers
        self.pid = os.getpid()
        self.results = {}  # token -> path
        self.idle = Idle(functools.partial(self.end, None), clock)
        self._on_import = self.check
        self._on_change = self.write_results

    def check(self):
        """At imports, and before another monitor comes."""
        idle = self.idle
        if self.markers.gate.value:
            idle.until = idle.until_if_used
        elif idle.now() >= idle.until:
            idle.end()

    def points(self, token=None):
        return [
            point
            for point in self.injector.points
            if point.owner is not None and token in (None, point.owner)
        ]

    def hook(self, name, level):
        """The one of a point of that name, if there is: its calls are told once, to all."""
        for point in self.points():
            if point.name == name:
                return point.hook
        return self.markers.hook(name, level, self.idle)

    def begin(self, token, points, wait_s, is_starting):
        """Points of a monitor that is about to attach: no semaphore is up for it yet. One that
        goes now must not take these along."""
        others = [point for point in self.points() if point.owner != token]
        now = self.idle.now()
        self.idle.until_if_used = now + _SETTLE_S if others else 0.0
        self.idle.until = now + wait_s
        if self._on_import not in self.injector.idlers:
            self.injector.idlers.append(self._on_import)
            self.injector.changed.append(self._on_change)
        self.injector.session = self
        self.injector.add(points, is_starting)

    def drop(self, token):
        points = self.points(token)
        return points, (self.injector.discard(points) or []) if points else []

    def end(self, token):
        points, left = self.drop(token)
        self.results.pop(token, None)
        if not self.points():
            self.results.clear()
            if self._on_import in self.injector.idlers:
                self.injector.idlers.remove(self._on_import)
                self.injector.changed.remove(self._on_change)
            self.injector.session = None
        return points, left

    def write_results(self):
        if os.getpid() != self.pid:
            return
        for token, path in list(self.results.items()):
            try:
                write_result(path, _result(token, self.points(token)))
            except OSError:
                self.results.pop(token, None)


def _version():
    return "%d.%d.%d" % sys.version_info[:3]


def _result(token, points, error=None):
    return {
        "version": VERSION,
        "token": token,
        "python": _version(),
        "pid": os.getpid(),
        "points": [point.describe() for point in points],
        "error": error,
        "notes": _notes(),
    }


def _interpreters():
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    try:
        return __import__(name)
    except ImportError:
        return None


def _notes():
    module = _interpreters()
    if module is not None and len(module.list_all()) > 1:
        return ["only functions of the main interpreter are wrapped: there are others"]
    return []


def _check_interpreter():
    module = _interpreters()
    if module is not None and module.get_current() != module.get_main():
        raise RuntimeError("this is not the main interpreter, and that alone is wrapped")


def write_result(path, result):
    """Whole or not at all."""
    import json

    name = "%s.%d" % (path, os.getpid())
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "w") as file:
            json.dump(result, file)
        os.rename(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _point_of(session, token, entry):
    name, level, path = entry.get("name"), entry.get("level"), entry.get("python")
    point = Point(str(name), str(path), None, token)
    try:
        if type(name) is not str or not 0 < len(os.fsencode(name)) <= NAME_MAX or "\0" in name:
            raise Unsupported("a name has 1 to %d bytes" % NAME_MAX)
        if type(level) is not int or not 0 <= level < LEVELS:
            raise Unsupported("there is no level %r" % (level,))
        _check_path(path)
    except Unsupported as problem:
        point.fail(str(problem))
        return point
    point.hook = session.hook(name, level)
    return point


def _session(config):
    shared = injector()
    if shared.session is not None:
        shared.session.check()
    if shared.session is not None:
        return shared.session
    return _Session(shared, _load_markers(config["marker"]))


class _Uninterrupted:
    """No signal comes meanwhile: what its handler raised would be lost in here."""

    def __enter__(self):
        import _signal

        self._set = _signal.pthread_sigmask
        self._how = _signal.SIG_SETMASK
        self._old = self._set(_signal.SIG_BLOCK, _signal.valid_signals())

    def __exit__(self, *_):
        self._set(self._how, self._old)


def install(config):
    """Wraps the points of a configuration, now or when their modules load. What is wrong with
    it, or here, is told in the result, which also goes to the configuration's "result", if
    any ("{pid}" in it is replaced), and again whenever it changes."""
    with _Uninterrupted():
        token = config.get("token") if isinstance(config, dict) else None
        try:
            result = _install(config, token)
        except Exception as problem:
            result = _result(token, [], "%s: %s" % (type(problem).__name__, problem))
        try:
            if config.get("result"):
                write_result(_result_path(config), result)
        except Exception as problem:
            result["error"] = result["error"] or "%s: %s" % (type(problem).__name__, problem)
        return result


def _result_path(config):
    return config["result"].replace("{pid}", str(os.getpid()))


def _install(config, token):
    if config["version"] != VERSION:
        raise ValueError("version %r of a configuration is not known" % (config["version"],))
    _check_interpreter()
    entries = [dict(entry) for entry in config["points"]]
    wait_s = float(config.get("wait_s", _WAIT_S))
    session = _session(config)
    session.drop(token)
    points = [_point_of(session, token, entry) for entry in entries]
    good = [point for point in points if point.hook is not None]
    session.begin(token, good, wait_s, bool(config.get("is_starting")))
    if config.get("result"):
        session.results[token] = _result_path(config)
    return _result(token, points)


def remove(token=None):
    """Takes out what one monitor, or all, put in. What calls are under way ends as it began."""
    with _Uninterrupted():
        try:
            shared = sys.__dict__.get(_HOME)
            session = shared.session if shared is not None else None
            points, left = session.end(token) if session is not None else ([], [])
            error = "changed by something else since: %s" % ", ".join(left) if left else None
            return _result(token, points, error)
        except Exception as problem:
            return _result(token, [], "%s: %s" % (type(problem).__name__, problem))
