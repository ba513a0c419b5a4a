"""Follow every link inside a built manual, and list those that lead out of it.

python docs/_tools/links.py docs/_build/html [path of the checkout that must not be named]
"""

import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what an element points at, and its name."""
        given = dict(attrs)
        self.links += [given[key] or "" for key in ("href", "src") if key in given]
        self.anchors |= {str(given[key]) for key in ("id", "name") if given.get(key)}


def main(root: Path, private: str) -> int:
    """Return the number of faults; print them, and the links to elsewhere."""
    pages = {path.resolve(): Page(path) for path in sorted(root.rglob("*.html"))}
    faults, outside, inside = [], defaultdict(set), 0
    for path, page in pages.items():
        name = str(path.relative_to(root.resolve()))
        if private and private in page.text:
            faults.append(f"{name}: names the folder {private}")
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                outside[link].add(name)
                continue
            if parts.scheme:  # data:, mailto:
                continue
            inside += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                faults.append(f"{name}: {link}: no such file")
            elif (
                parts.fragment
                and target in pages
                and (unquote(parts.fragment) not in pages[target].anchors)
            ):
                faults.append(f"{name}: {link}: no such place on that page")
    for link, where in sorted(outside.items()):
        print(link, f"({len(where)} pages)" if len(where) > 1 else f"({min(where)})")
    print(f"{len(pages)} pages, {inside} links inside, {len(outside)} to elsewhere (not followed), "
          f"{len(faults)} faults")  # fmt: skip
    print(*faults, sep="\n", file=sys.stderr)
    return len(faults)


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")))
