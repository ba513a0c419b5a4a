"""Archives are untrusted: nothing is written unless everything in them is sound."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyhf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nuhf
from nuhf import exchange, resources
from nuhf.errors import InputError, NuhfError
from nuhf.workspaces import archive as module
from nuhf.workspaces.archive import pack, read_archive, unpack

X = "coherent-csi-2021"


@pytest.fixture(scope="module")
def grid():
    return exchange.patchset(X, "munu_mu", brackets=[(0, 2e-9)], points=[3])


@pytest.fixture(scope="module")
def files(grid):
    return {
        "BkgOnly.json": resources.dump_json(grid.background).encode(),
        "patchset.json": resources.dump_json(grid.patchset).encode(),
        "README.md": b"# read me\n",
    }


def member(name, content=b"x", kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def tar(members, compress=True, form=tarfile.GNU_FORMAT):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=form) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return gzip.compress(body.getvalue()) if compress else body.getvalue()


def sound(files):
    return [member(name, content) for name, content in files.items()]


def refused(folder, content, *words):
    """Reading and unpacking are refused in words that name the file; nothing is written."""
    folder.mkdir(exist_ok=True)
    path = folder / "a.tar.gz"
    path.write_bytes(content)
    for act in (lambda: read_archive(path), lambda: unpack(path, folder / "out")):
        with pytest.raises(NuhfError) as caught:
            act()
        for word in (str(path), *words):
            assert word in str(caught.value)
    assert [p.name for p in folder.rglob("*")] == ["a.tar.gz"]


# -------------------------------------------------------------------------------------- sound


def test_round_trip(files, tmp_path, grid):
    content = pack(files)
    assert content == pack(dict(reversed(files.items())))
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    found = unpack(path, tmp_path / "out")
    assert found.files == files
    assert {name: one.content for name, one in found.documents.items()} == {
        "BkgOnly.json": grid.background, "patchset.json": grid.patchset,
    }  # fmt: skip
    assert found.background(found.documents["patchset.json"]) == grid.background
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == files
    # and as pyhf contrib download unpacks it
    with tarfile.open(path, "r:*") as opened:
        infos = opened.getmembers()
    assert sorted(info.name for info in infos) == sorted(files)
    assert {(i.mtime, i.uid, i.gid, i.uname, i.mode) for i in infos} == {(0, 0, 0, "", 0o644)}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("compress", [True, False])
def test_archives_of_others(files, tmp_path, form, compress):
    """Folders, leading ./ and long names, as tar on Linux and macOS writes them."""
    folder = "./" + "/".join(["a long folder name " * 2] * 3) + "/é"
    members = [member("./", b"", tarfile.DIRTYPE), member(folder, b"", tarfile.DIRTYPE)]
    members += [member(f"{folder}/{name}", content) for name, content in files.items()]
    path = tmp_path / "a.tar"
    path.write_bytes(tar(members, compress, form))
    found = unpack(path, tmp_path / "out")
    (name,) = {str(Path(one).parent).removeprefix(".") for one in found.documents}
    assert name == folder.removeprefix("./")
    assert (tmp_path / "out" / name / "BkgOnly.json").read_bytes() == files["BkgOnly.json"]


def test_unpack_verify_limit_equals_the_limit_before(tmp_path, cli, grid):
    """The profile over the patches is ours, before packing and after."""
    assert cli("publish", X, "-p", "munu_mu", "--archives-only", "-o", "p").code == 0
    name = f"{X}_munu_mu.tar.gz"
    assert cli("unpack", f"p/{name}").out.splitlines() == [
        "41 patches in munu2_mu_em18, digests correct", "workspace.json: a pyhf workspace",
    ]  # fmt: skip
    assert cli("unpack", f"p/{name}", "-o", "out").code == 0
    assert "All good" in cli("pyhf", "patchset", "verify", "out/BkgOnly.json",
                             "out/patchset.json").out  # fmt: skip
    workspace = pyhf.Workspace(json.loads(Path("out/BkgOnly.json").read_text()))
    patches = pyhf.PatchSet(json.loads(Path("out/patchset.json").read_text()))
    (found,) = nuhf.limit(X, "munu_mu")
    heights, values = [], []
    for patch in patches.patches[::5]:
        fix = [{"op": "add", "path": "/parameters/0/fixed", "value": True}]
        model = patches.apply(workspace, patch.name).model(patches=[fix])
        _, height = pyhf.infer.mle.fit(workspace.data(model), model, return_fitted_val=True)
        heights.append(float(height) - found.twice_nll_min - 2.705543)
        values.append(patch.values[0])
    k = int(np.argmax(np.array(heights) > 0))
    near = slice(max(k - 2, 0), k + 2)
    roots = np.roots(np.polyfit(values[near], heights[near], 3))
    root = roots[np.argmin(np.abs(roots - values[k]))].real
    assert np.sqrt(root) * 1e-9 == pytest.approx(found.upper_limit, rel=2e-3)


# ----------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../evil", "'..'"),
        ("a/../../evil", "'..'"),
        ("./..", "'..'"),
        ("/etc/evil", "absolute"),
        ("//evil", "absolute"),
        ("C:evil", "drive"),
        ("..\\evil", "backslash"),
        ("a\nb", "control"),
        ("a\x1b[2Jb", "control"),
        ("a/" * 130 + "b", "240 characters"),
    ],
)
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_that_leave_the_folder(files, tmp_path, name, words, form):
    refused(tmp_path, tar([*sound(files), member(name)], form=form), words)
    folder = member(name + "/", b"", tarfile.DIRTYPE)
    refused(tmp_path, tar([*sound(files), folder], form=form), words)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.GNUTYPE_SPARSE, "a sparse file"),
        (tarfile.CONTTYPE, "type b'7'"),
        (b"K", "type b'K'"),
    ],
)
def test_links_and_devices(files, tmp_path, kind, words):
    bad = member("README.md", b"", kind, linkname="/etc/passwd")
    refused(tmp_path, tar([bad, *sound(files)]), words)


def test_a_link_that_a_file_goes_through(files, tmp_path):
    link = member("sub", b"", tarfile.SYMTYPE, linkname="/tmp")
    refused(tmp_path, tar([link, member("sub/evil"), *sound(files)]), "symbolic link")


def test_bombs(files, tmp_path, monkeypatch):
    zeros = member("zeros", b"\0" * 30_000_000)
    refused(tmp_path, tar([*sound(files), zeros]), "decompresses to more than", "200 times")
    monkeypatch.setattr(module, "MAX_BYTES", 10_000)
    refused(tmp_path, tar(sound(files)), "more than 10000 bytes")
    monkeypatch.undo()
    many = [member(f"f{i}") for i in range(module.MAX_MEMBERS)]
    refused(tmp_path, tar([*many, *sound(files)]), "more than 1000 members")
    nested = gzip.compress(gzip.compress(b"\0" * 10_000_000))
    refused(tmp_path, nested, "tar")
    monkeypatch.setattr(resources, "_MAX_BYTES", 1000)
    refused(tmp_path, pack(files), "larger than")


def test_headers_that_end_early_or_never(files, tmp_path):
    """A tar is read to its end, or refused: no member is lost behind a broken header."""
    body = bytearray(tar(sound(files), compress=False))
    second = 512 + -(-len(files["BkgOnly.json"]) // 512) * 512
    body[second] ^= 1
    refused(tmp_path, bytes(body), "wrong checksum of a header")
    names = [member("x" * 5, b"long name\0", tarfile.GNUTYPE_LONGNAME)] * 2000
    refused(tmp_path, tar([*names, *sound(files)]), "broken tar archive")
    slow = member("x", b"1" * 1_000_000, tarfile.XHDTYPE)
    refused(tmp_path, tar([slow, *sound(files)]), "'x' has 1000000 bytes")


def test_a_size_that_lies(files, tmp_path):
    body = bytearray(tar(sound(files), compress=False))

    def with_size(field):
        header = bytearray(body[:512])
        header[124:136] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + bytes(body[512:])

    refused(tmp_path, with_size(b"77777777777\0"), "unexpected end of data")
    refused(tmp_path, with_size(b"\x80" + b"\xff" * 11), "broken tar archive")
    refused(tmp_path, with_size(b"\xff" * 12), "'BkgOnly.json' has -1 bytes")
    refused(tmp_path, with_size(b"-0000000001\0"), "'BkgOnly.json' has -1 bytes")
    refused(tmp_path, with_size(b"-0000001001\0"), "'BkgOnly.json' has -513 bytes")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"size": "0"}, "pax key 'size'"),
        ({"GNU.sparse.realsize": "99999999999"}, "pax key 'GNU.sparse.realsize'"),
        ({"path": "../evil"}, "'..'"),
        ({"linkpath": "/etc/passwd"}, "pax key 'linkpath'"),
    ],
)
def test_pax_headers(files, tmp_path, headers, words):
    info, content = member("ok")
    info.pax_headers = headers
    refused(tmp_path, tar([(info, content), *sound(files)], form=tarfile.PAX_FORMAT), words)


def test_the_same_name_twice(files, tmp_path):
    refused(tmp_path, tar([*sound(files), member("README.md", b"other")]), "twice")
    refused(tmp_path, tar([*sound(files), member("./readme.MD", b"other")]), "twice")
    refused(tmp_path, tar([*sound(files), member("README.md/x")]), "as a file and as a folder")


def test_broken_files(files, tmp_path):
    content = pack(files)
    refused(tmp_path, b"", "is empty")
    refused(tmp_path, b"PK\x03\x04" + b"\0" * 600, "broken zip archive")
    refused(tmp_path, content[: len(content) // 2], "cut off")
    refused(tmp_path, content + b"more", "behind the gzip stream")
    refused(tmp_path, content[:-8] + b"\0" * 8, "gzip")
    refused(tmp_path, gzip.compress(b"\0" * 1024), "empty")
    refused(tmp_path, b"x" * 600, "no archive", "but text")
    with pytest.raises(InputError, match="cannot be read"):
        read_archive(tmp_path / "missing.tar.gz")


def changed(files, **contents):
    return tar(sound({**files, **{f"{k}.json": v for k, v in contents.items()}}))


def test_wrong_digests_and_broken_json(files, tmp_path, grid):
    text = files["BkgOnly.json"].decode()
    other = text.replace('"inits": [1.0]', '"inits": [0.5]')
    assert other != text
    refused(tmp_path, changed(files, BkgOnly=other.encode()), "made for another BkgOnly.json")
    refused(tmp_path, changed(files, BkgOnly=b"{}"), "no pyhf file", "a pyhf workspace is expected")
    refused(tmp_path, changed(files, BkgOnly=b"\xff"), "UTF-8")
    nan = text.replace('"inits": [1.0]', '"inits": [NaN]').encode()
    refused(tmp_path, changed(files, BkgOnly=nan), "BkgOnly.json", "NaN")
    refused(tmp_path, changed(files, patchset=b"[1]"), "a pyhf patch set is expected")
    refused(tmp_path, changed(files, patchset=b'{"version": "1.0.0"}'), "a pyhf patch set is")
    empty = b'{"patches": [], "version": "1.0.0"}'
    refused(tmp_path, changed(files, patchset=empty), "no valid patch set")
    deep = b"[" * 100_000
    refused(tmp_path, changed(files, patchset=deep), "broken JSON")
    values = json.loads(files["patchset.json"])
    values["patches"][0]["metadata"]["values"] = [1, 2]
    wrong = json.dumps(values).encode()
    refused(tmp_path, changed(files, patchset=wrong), "no valid patch set")
    refused(tmp_path, tar(sound({"README.md": b"x"})), "holds no pyhf workspace")
    alone = {"patchset.json": files["patchset.json"]}
    refused(tmp_path, tar(sound(alone)), "without a workspace")


def test_the_command(cli, work, files):
    Path("bad.tar.gz").write_bytes(tar([*sound(files), member("../evil")]))
    ran = cli("unpack", "bad.tar.gz", "-o", "out")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("nuhf: bad.tar.gz: ")
    Path("good.tar.gz").write_bytes(pack(files))
    Path("full").mkdir()
    Path("full/mine").write_text("keep")
    assert "exists already" in cli("unpack", "good.tar.gz", "-o", "full").err
    assert Path("full/mine").read_text() == "keep"
    Path("empty").mkdir()
    assert cli("unpack", "good.tar.gz", "-o", "empty").code == 0
    assert sorted(p.name for p in Path("empty").iterdir()) == sorted(files)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_damaged_archives_never_do_anything_else(data):
    """Bytes changed at random: the members as they are, or `InputError`."""
    members = [member("a", b"1" * 700), member("b" * 120, b"2"), member("c/", b"", b"5")]
    form = data.draw(st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    body = bytearray(tar(members, compress=False, form=form))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, 4000)) % len(body)] = data.draw(st.integers(0, 255))
    for start in range(0, len(body) - 511, 512):  # checksums that fit again
        block = body[start : start + 512]
        if block[257:262] == b"ustar":
            total = sum(block[:148]) + 256 + sum(block[156:])
            body[start + 148 : start + 156] = b"%06o\0 " % total
    try:
        found = module._checked(module._tar_members(bytes(body)))
    except InputError:
        return
    for name in found:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
