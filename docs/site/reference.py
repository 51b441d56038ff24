"""The reference, made of what the package says about itself.

Signatures come from the stub (``_core.pyi``) or the source, docstrings from the compiled extension
or the source, the command line from its own ``--help``. mkdocstrings was tried and left: griffe
reads a compiled module by inspection, where signatures have no types, and does not join it with its
stub.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import nearwood

EXAMPLES = Path(__file__).parents[2] / "examples"
PACKAGE = Path(nearwood.__file__).parent
SECTION = re.compile(
    r"^(Args|Returns|Raises|Warns|Yields|Attributes):\n((?:(?:[ ]{4}.*)?\n)+)", re.M
)
# Prompts and what they print, up to an empty line.
EXAMPLE = re.compile(r"(?:^>>>.*\n(?:^.+\n)*)+", re.M)
# Columns of the command's help: at least two spaces stand between an option and what it does.
OPTION = re.compile(r"^ +(\S.*?) {2,}(\S.*)$")
WIDTH = 88
RUST = """# Rust

The crate's reference is rustdoc's: `make docs-rust`, or `cargo doc --no-deps --open`, builds it and
opens it. The [start page](../index.md#rust) has the first lines, [the house](../architecture.md)
which module does what. A server that wants neither Parquet nor a command line depends on the crate
with `default-features = false`.

## Programs to start from

"""

_Def: TypeAlias = ast.FunctionDef | ast.ClassDef
_Defs: TypeAlias = dict[str, list[_Def]]


def pages() -> dict[str, str]:
    """Every page of the reference by its path in the site, in the order of the menu."""
    made = {f"reference/{name}.md": text for name, text in python_pages().items()}
    made |= {"reference/cli.md": command_line(), "reference/rust.md": rust()}
    contents = "\n".join(f"- [{title(text)}]({Path(path).name})" for path, text in made.items())
    return {"reference/index.md": f"# Reference\n\n{contents}\n"} | made


def title(page: str) -> str:
    return page.partition("\n")[0].removeprefix("# ")


def python_pages() -> dict[str, str]:
    """The package's functions and small classes on one page, each class of the extension on its
    own, then each public module."""
    stub = definitions(PACKAGE / "_core.pyi")
    own = {name: stub.get(name) for name in nearwood.__all__}
    classes = [name for name, found in own.items() if found and isinstance(found[0], ast.ClassDef)]
    small = definitions(PACKAGE / "_metric.py") | definitions(PACKAGE / "_errors.py")
    rest = {name: found or small.get(name) for name, found in own.items() if name not in classes}
    first = [f"# nearwood\n\n{prose(nearwood.__doc__ or '')}"]
    first += [described(name, found, nearwood) for name, found in rest.items() if found]
    made = {"nearwood": "\n".join(first)}
    for name in classes:
        made[f"nearwood.{name}"] = class_page(name, stub[name][0])
    return made | {name: module_page(name) for name in public_modules()}


def public_modules() -> list[str]:
    found = (each.name for each in pkgutil.walk_packages(nearwood.__path__, "nearwood."))
    return [name for name in found if not re.search(r"\._", name)]


def definitions(path: Path) -> _Defs:
    """The public classes and functions of a source, private type aliases written out in them."""
    tree = ast.parse(path.read_text("utf-8"))
    aliases = {
        each.target.id: each.value
        for each in tree.body
        if isinstance(each, ast.AnnAssign)
        and isinstance(each.target, ast.Name)
        and ast.unparse(each.annotation) == "TypeAlias"
        and each.value
    }
    return by_name([Written(aliases).visit(each) for each in tree.body])


def by_name(body: list[Any]) -> _Defs:
    found: _Defs = {}
    for each in body:
        if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and is_public(each):
            found.setdefault(each.name, []).append(each)
    return found


def is_public(node: _Def) -> bool:
    """The setter of a property repeats its name, and says nothing more."""
    return not node.name.startswith("_") and "setter" not in decorators(node)


def decorators(node: _Def) -> str:
    return " ".join(ast.unparse(each) for each in node.decorator_list)


class Written(ast.NodeTransformer):
    """Writes private type aliases out, which a reader of a signature cannot look up."""

    def __init__(self, aliases: dict[str, ast.expr]) -> None:
        self.aliases = aliases

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id.startswith("_") and node.id in self.aliases:
            return self.visit(self.aliases[node.id])
        return node


def class_page(name: str, node: _Def) -> str:
    return f"# nearwood.{name}\n\n{members(node, getattr(nearwood, name), f'{name}.')}"


def module_page(name: str) -> str:
    """A module from its source alone: what it needs beside nearwood may not be installed."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text("utf-8"))
    text = [f"# {name}\n\n{prose(ast.get_docstring(tree) or '')}"]
    text += [described(each, found, None) for each, found in definitions(source).items()]
    text += [described(each, found, None) for each, found in imported(tree).items()]
    return "\n".join(text + [assigned(name, each) for each in assignments(tree)])


def imported(tree: ast.Module) -> _Defs:
    """What a module's `__all__` names and a private module of the package defines."""
    public, found = exported(tree), {}
    for each in tree.body:
        if isinstance(each, ast.ImportFrom) and (each.module or "").startswith("nearwood._"):
            path = PACKAGE.joinpath(*each.module.split(".")[1:]).with_suffix(".py")
            names = [alias.name for alias in each.names if alias.name in public]
            if names and path.exists():
                defined = definitions(path)
                found |= {name: defined[name] for name in names if name in defined}
    return found


def exported(tree: ast.Module) -> list[str]:
    """The names in `__all__`."""
    for each in tree.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__all__":
            return ast.literal_eval(each.value)
    return []


def assignments(tree: ast.Module) -> list[str]:
    """Public functions that no `def` makes: those of `__all__` that something is assigned to."""
    given = {
        ast.unparse(target): each.value
        for each in tree.body
        if isinstance(each, ast.Assign)
        for target in each.targets
    }
    public = ast.literal_eval(given["__all__"])
    return [name for name in public if isinstance(given.get(name), ast.Call)]


def assigned(module: str, name: str) -> str:
    live = getattr(importlib.import_module(module), name)
    return f"## {name}\n\n{code(f'{name}{inspect.signature(live)}')}\n{prose(live.__doc__ or '')}"


def described(name: str, found: list[_Def], holder: Any) -> str:
    """A function or a class with its members, under a heading of the second rank."""
    live = getattr(holder, name, None)
    if isinstance(found[0], ast.ClassDef):
        return f"## {name}\n\n{members(found[0], live, f'{name}.', rank=3)}"
    return entry(found, live, "", rank=2)


def members(node: _Def, live: Any, prefix: str, rank: int = 2) -> str:
    assert isinstance(node, ast.ClassDef)
    parts = [prose(docstring(node, live))]
    made = [each for each in node.body if getattr(each, "name", "") in ("__new__", "__init__")]
    if made:
        parts.insert(0, code(signature(made[0], name=prefix[:-1], returns=False)))
    for name, found in by_name(node.body).items():
        parts.append(entry(found, getattr(live, name, None), prefix, rank))
    return "\n".join(parts + [f"- `{each}`" for each in constants(node)]) + "\n"


def constants(node: ast.ClassDef) -> list[str]:
    """The members of an enumeration."""
    return [ast.unparse(each) for each in node.body if isinstance(each, ast.Assign)]


def entry(found: list[_Def], live: Any, prefix: str, rank: int) -> str:
    shown = "\n".join(signature(each, prefix) for each in found)
    text = prose(docstring(found[-1], live))
    return f"{'#' * rank} {prefix}{found[0].name}\n\n{code(shown)}\n{text}"


def docstring(node: _Def, live: Any) -> str:
    return ast.get_docstring(node) or (inspect.getdoc(live) if live is not None else "") or ""


def code(text: str) -> str:
    return f"```python\n{text}\n```\n"


def signature(node: Any, prefix: str = "", name: str = "", returns: bool = True) -> str:
    """A call as it is written, a line an argument where it is long; a property by its type."""
    name = name or prefix + node.name
    result = ast.unparse(node.returns) if node.returns else "Any"
    if "property" in decorators(node):
        return f"{name}: {result}"
    given = [each for each in parameters(node.args) if each not in ("self", "cls")]
    after = f" -> {result}" if returns else ""
    line = f"{name}({', '.join(given)}){after}"
    return line if len(line) <= WIDTH else f"{name}(\n    " + ",\n    ".join(given) + f",\n){after}"


def parameters(args: ast.arguments) -> list[str]:
    plain = [*args.posonlyargs, *args.args]
    missing: list[ast.expr | None] = [None] * (len(plain) - len(args.defaults))
    shown = [parameter(*each) for each in zip(plain, missing + args.defaults, strict=True)]
    if args.posonlyargs:
        shown.insert(len(args.posonlyargs), "/")
    if args.vararg:
        shown.append("*" + parameter(args.vararg, None))
    elif args.kwonlyargs:
        shown.append("*")
    shown += [parameter(*each) for each in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return shown + (["**" + parameter(args.kwarg, None)] if args.kwarg else [])


def parameter(arg: ast.arg, default: ast.expr | None) -> str:
    typed = f"{arg.arg}: {ast.unparse(arg.annotation)}" if arg.annotation else arg.arg
    if default is None:
        return typed
    return f"{typed}{' = ' if arg.annotation else '='}{ast.unparse(default)}"


def prose(doc: str) -> str:
    """A docstring as Markdown: sections as lists, examples as code, references as links."""
    text = SECTION.sub(lambda found: section(*found.groups()), inspect.cleandoc(doc) + "\n")
    text = re.sub(r":(?:meth|class|func|attr):`~?([^`]*)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    text = re.sub(r"`?\bdocs/([\w/-]+)\.md`?", r"[\1](../\1.md)", text)
    return EXAMPLE.sub(r"\n```pycon\n\g<0>```\n", text)


def section(name: str, body: str) -> str:
    """`name: what it is` is an item of a list; what is neither that nor indented is a paragraph."""
    text = inspect.cleandoc(body)
    text = re.sub(r"^(\*{0,2}\w+): ", r"- **`\1`**: ", text, flags=re.M)
    return f"**{name.replace('Args', 'Arguments')}**\n\n{text}\n\n"


def command_line() -> str:
    general = said("--help")
    commands = re.findall(r"^  ([a-z][a-z-]*)  ", general.partition("Commands:")[2], re.M)
    parts = ["# Command line\n", table(general.replace("<COMMAND>", "COMMAND"))]
    for name in commands:
        if name != "help":
            parts.append(f"## nearwood {name}\n\n{table(said(name, '--help'))}")
    return "\n".join(parts)


def said(*words: str) -> str:
    call = [sys.executable, "-m", "nearwood", *words]
    return subprocess.run(call, capture_output=True, check=True, encoding="utf-8").stdout


def table(text: str) -> str:
    """A help text with its usage as code and its columns as tables."""
    lines = []
    for line in one_line_each(text).splitlines():
        if found := OPTION.match(line):
            flag, what = (each.replace("|", "\\|").replace("<", "&lt;") for each in found.groups())
            lines.append(f"| <code>{flag}</code> | {what} |")
        elif line.startswith("Usage: "):
            lines.append(f"```text\n{line.removeprefix('Usage: ')}\n```")
        elif line.endswith(":") and not line.startswith(" "):
            lines.append(f"\n| {line[:-1]} | |\n|---|---|")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def one_line_each(text: str) -> str:
    """Where one option's help is long, clap puts every option's on lines of its own, ten columns
    in."""
    text = re.sub(r"\n\s*\n? {10,}(?=\S)", "  ", re.sub(r" +\n", "\n", text))
    return re.sub(r"^( {2,}\S.*)\n\n(?= {2,}\S)", r"\1\n", text, flags=re.M)


def rust() -> str:
    """What a Rust user reads: rustdoc holds its reference, the examples its first steps."""
    shown = []
    for path in sorted(EXAMPLES.glob("*.rs")):
        first = re.match(r"((?://! .*\n)+)", path.read_text("utf-8"))
        what = " ".join(re.findall(r"//! (.*)", first.group())) if first else ""
        shown.append(f"- `cargo run --release --example {path.stem}`: {what}")
    return RUST + "\n".join(shown) + "\n"
