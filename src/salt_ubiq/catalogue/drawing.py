"""
Drawings of what is built from what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from salt_ubiq.catalogue.graph import children


def drawn(edges: Mapping[str, Iterable[str]], fmt: str) -> str:
    """
    Draw what is built from what.

    fmt
        ``text`` for a tree, ``dot`` for Graphviz, or ``mermaid``

    Raises ``ValueError`` for another format.
    """
    pairs = [(parent, name) for name in edges for parent in edges[name]]
    if fmt == "dot":
        lines = [f'  "{name}";' for name in edges]
        lines += [f'  "{parent}" -> "{name}";' for parent, name in pairs]
        return "\n".join(["digraph images {", *lines, "}"])
    if fmt == "mermaid":
        ids = {name: f"i{number}" for number, name in enumerate(edges)}
        lines = [f"  {ids[name]}[{name}]" for name in edges]
        lines += [f"  {ids[parent]} --> {ids[name]}" for parent, name in pairs]
        return "\n".join(["flowchart TD", *lines])
    if fmt != "text":
        raise ValueError(f"no format '{fmt}': there are text, dot and mermaid")
    below = children(edges)
    roots = [name for name in edges if not any(parent in edges for parent in edges[name])]
    return "\n".join(line for root in roots for line in _tree(root, below))


def _tree(name: str, below: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield name
    members = below.get(name, ())
    for number, child in enumerate(members, 1):
        last = number == len(members)
        first, *rest = _tree(child, below)
        yield ("└── " if last else "├── ") + first
        for line in rest:
            yield ("    " if last else "│   ") + line
