#!/usr/bin/env python3
"""Reads Brine stores as docs/format.md describes them: a SQLite file, or a directory of fs.

list prints a line for each record; print a JSON object for each, with its value; check what is
damaged, and what refers to a record that is absent: it then exits with 1. Nothing is written (SQLite
may leave a -shm and an empty -wal) nor locked. It needs Python 3.9 and python3-msgpack.

In values, references are {"$ref": id} and {"$lazy": id}, bytes {"$bytes": base64}, texts that are
not UTF-8 {"$text": base64}, NaN and infinities {"$float": name}, times {"$time": in UTC}, with
"offset" and "zone" if they have one. {"$same": path} is the pointer or map at the path, "$" being
the root. {"$map": [[key, value]...]} is a map that is no JSON object. What stands behind an
interface is [type, value]; other Go types are not stored.
"""
import argparse, base64, datetime, hashlib, json, os, re, sqlite3, sys, threading, urllib.parse
from concurrent.futures import ThreadPoolExecutor
import msgpack

class Damage(Exception): pass
def need(condition, what, path=""):
    if not condition:
        raise Damage(f"{text(path)} {what}".strip())
TABLE = list(range(256))
for _ in range(8):
    TABLE = [n >> 1 ^ (0x82F63B78 if n & 1 else 0) for n in TABLE]
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
def plain(v): # what a terminal can show
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(v))
def text(path): # a name; or that of the value it stands in, and the rest; None is the root
    parts = []
    while isinstance(path, tuple):
        parts.append(path[1])
        path = path[0]
    return ("$" if path is None else path) + "".join(reversed(parts))
def finish(v): # what stands for it in JSON
    if isinstance(v, bytes):
        return {"$bytes": base64.b64encode(v).decode()}
    if not isinstance(v, msgpack.Timestamp):
        return v
    try:
        date = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=v.seconds)
        return {"$time": f"{date.isoformat()}.{v.nanoseconds:09}Z"}
    except OverflowError: # of a year that Python lacks
        return {"$time": f"{v.seconds} s, {v.nanoseconds} ns"}

class Message:
    """Reads one value after the other, and knows at which byte each begins."""
    def __init__(self, data):
        self.data, self.body, self.places, self.refs, self.lazy = data, 0, {}, set(), set()
        self.u = msgpack.Unpacker(timestamp=0, unicode_errors="surrogateescape", max_buffer_size=max(len(data), 1))
        self.u.feed(data)
    def next(self, what, kind=None, read=None):
        try:
            v = (read or self.u.unpack)()
        except Exception as e: # msgpack has many
            raise Damage(f"{text(what)} is no msgpack: {e or type(e).__name__}")
        need(kind in (None, type(v)), "is of another type", what)
        return v
    def value(self, path):
        at = self.u.tell()
        code, self.places[at - self.body] = self.data[at] if at < len(self.data) else 0, path
        if 0x90 <= code <= 0x9F or code in (0xDC, 0xDD):
            items = [self.value((path, f"[{i}]")) for i in range(self.next(path, int, self.u.read_array_header))]
            if len(items) in (2, 3) and isinstance(items[0], msgpack.Timestamp) and type(items[1]) is int:
                return {**finish(items[0]), **dict(zip(("offset", "zone"), items[1:2] + [n.removeprefix("=") for n in items[2:]]))}
            return [finish(v) for v in items]
        if 0x80 <= code <= 0x8F or code in (0xDE, 0xDF):
            return self.map(path)
        v = self.next(path)
        if isinstance(v, msgpack.ExtType):
            return self.extension(path, v)
        if isinstance(v, str) and re.search("[\udc80-\udcff]", v):
            return {"$text": finish(v.encode("utf-8", "surrogateescape"))["$bytes"]}
        return {"$float": str(v)} if isinstance(v, float) and v - v != 0 else v
    def map(self, path):
        pairs = []
        for i in range(self.next(path, int, self.u.read_map_header)):
            key = finish(self.value((path, f"{{{i}}}")))
            pairs.append([key, finish(self.value((path, f".{key}" if isinstance(key, str) else f"[{i}]")))])
        if all(isinstance(k, str) and not k.startswith("$") for k, _ in pairs):
            need(len(dict(pairs)) == len(pairs), "has a key twice", path)
            return dict(pairs)
        return {"$map": pairs}
    def extension(self, path, ext):
        if ext.code == 3:
            to = self.places.get(int.from_bytes(ext.data, "big"), path)
            need(len(ext.data) == 4 and to is not path, "leads to no value before it", path)
            return {"$same": text(to)}
        need(ext.code in (1, 2) and 1 <= len(ext.data) <= 191, f"is extension {ext.code}", path)
        id = ext.data.decode("utf-8", "surrogateescape")
        (self.refs if ext.code == 1 else self.lazy).add(id)
        return {"$ref" if ext.code == 1 else "$lazy": id}
def record(data):
    """The elements of a record; Damage if it is not a sound one."""
    need(data[:7] == b"\x98\xa5brine" and data[7:8] in (b"\1", b"\2"), "it is no record of format 1 or 2")
    need(data[-5:] == b"\xce" + crc32c(data[:-5]).to_bytes(4, "big"), "the checksum of the record does not match")
    m = Message(data)
    m.next("the record", int, m.u.read_array_header)
    kinds = {"mark": str, "format": int, "type": str, "version": int, "refs": list, "lazy": list}
    r = {name: m.next(f"the element {name}", kind) for name, kind in kinds.items()}
    m.body = m.u.tell()
    r["value"] = finish(m.value(None))
    need(r["type"] and m.u.tell() == len(data) - 5, "it has no type, or something follows the body")
    for name, found in (("refs", m.refs), ("lazy", m.lazy)):
        need(r[name] == sorted(found, key=lambda id: id.encode("utf-8", "surrogateescape")), f"{name} are not what the body refers to")
    return r
def frame(data, *marks):
    """The body of a frame, and where the frame ends."""
    m = Message(data)
    need(m.next("the mark") in marks, f"it does not begin with {marks}")
    length, start = m.next("the length of the frame", int), m.u.tell()
    body = m.next("the frame's body", dict)
    need(m.u.tell() - start == length, "the frame's body has another length")
    end = m.u.tell()
    need(data[end:end + 5] == b"\xce" + crc32c(data[:end]).to_bytes(4, "big"), "the checksum of the frame does not match")
    return body, end + 5
def file_name(id):
    name = urllib.parse.quote(id, safe="").replace("~", "%7E")
    if re.match(r"(?i)\.|(con|prn|aux|nul|(com|lpt)[0-9])(\.|\Z)", id):
        name = f"%{ord(id[0]):02X}{name[1:]}"
    name = re.sub(r"\.\Z", "%2E", name)
    return name if len(name) <= 200 else name[:100] + "~" + hashlib.sha256(id.encode()).hexdigest()
def read(path):
    return open(path, "rb").read() if os.path.isfile(path) else b""
def from_directory(root, pairs):
    """Yields (ID, or name of the file; columns; data; what is wrong) for each record."""
    folder = os.path.join(root, ".brine.kv" if pairs else "")
    files = {n: read(os.path.join(folder, n)) for n in (os.listdir(folder) if os.path.isdir(folder) else []) if n[0] != "."}
    # A commit that was not finished is read as if it were. Older programs have one for the pairs too.
    for at, prefix in [(root, ".brine.kv/" if pairs else "")] + [(folder, "")] * pairs:
        commit, mine = read(os.path.join(at, ".brine.commit")), lambda n: n.startswith(prefix or ".brine.") == bool(prefix)
        try:
            todo = frame(commit, "brinec1")[0] if commit else {"renames": [], "removes": []}
            removes, renames = list(map(str, todo["removes"])), [(str(n), int(crc), *whole) for n, crc, *whole in todo["renames"]]
        except (Damage, KeyError, TypeError, ValueError) as e:
            yield ".brine.commit", {}, b"", f"the list of the commit: {e!r}"
            continue
        for name in filter(mine, removes):
            files.pop(name[len(prefix):], None)
        for i, (name, crc, *whole) in enumerate(r for r in renames if mine(r[0])):
            data = read(os.path.join(folder, f".brine.tmp.{i}"))
            if crc32c(data) == crc if whole else data[-5:] == b"\xce" + (crc & 0xFFFFFFFF).to_bytes(4, "big"):
                files[name[len(prefix):]] = data
    for name, data in sorted(files.items()):
        columns, wrong = {"id": name}, None
        try:
            columns, start = frame(data, "brine/1", "brine/2")
            need(file_name(columns.get("id", "")) == name, f"the ID in file {name} is {columns.get('id')}")
            need(data[-5:] == b"\xce" + crc32c(data[:-5]).to_bytes(4, "big"), "the checksum of the file does not match")
            data = data[start:-5]
        except (Damage, TypeError, ValueError) as e: # an ID of another type, or no UTF-8
            wrong = str(e)
        if data[:7] == b"\xa7brine/" or not wrong: # any other file is not of the store
            yield str(columns.get("id", name)), columns, data, wrong
def from_sqlite(path, table):
    db = sqlite3.connect(f"file:{urllib.parse.quote(os.path.abspath(path))}?mode=ro", uri=True)
    db.row_factory, db.text_factory = sqlite3.Row, lambda b: b.decode("utf-8", "surrogateescape")
    try:
        for row in map(dict, db.execute(f'SELECT *, CAST(data AS BLOB) AS data FROM "{table}" ORDER BY id')):
            yield str(row["id"]), row, row.pop("data") or b"", None
    except sqlite3.Error as e:
        sys.exit(f"{path}: {e}")

def main():
    args = argparse.ArgumentParser()
    args.add_argument("command", choices=["list", "print", "check"])
    args.add_argument("store", help="a SQLite file or a directory")
    args.add_argument("--table", default="store", help="the table of a SQLite file (default: store)")
    args.add_argument("--pairs", action="store_true", help="the key-value pairs instead of the objects")
    a = args.parse_args()
    found = from_directory(a.store, a.pairs) if os.path.isdir(a.store) else from_sqlite(a.store, a.table + "_kv" * a.pairs)
    ids, refs, wrong = set(), [], []
    for id, columns, data, error in found:
        try:
            r = {"refs": []}
            need(not error, error)
            r = record(data)
            need(columns.get("type", r["type"]) == r["type"] and columns.get("size", len(data)) == len(data), "type or size is another in the columns")
        except (Damage, RecursionError) as e:
            r["damage"] = str(e)
            wrong.append((id, str(e)))
        ids.add(id)
        refs += [(id, to) for to in r["refs"]]
        if a.command == "list":
            print(*map(plain, (id, r.get("type"), columns.get("state"), len(data), *r["refs"], r.get("damage", ""))), sep="\t")
        elif a.command == "print":
            print(json.dumps({"id": id, "columns": columns, **r}, default=finish, skipkeys=True))
    wrong += [(id, f"refers to {to}, which is absent") for id, to in refs if to not in ids]
    for id, what in wrong if a.command == "check" else []:
        print(plain(id), plain(what), sep="\t")
    return int(a.command == "check" and bool(wrong))

if __name__ == "__main__":
    sys.setrecursionlimit(100_000) # values may be nested 10,000 deep
    threading.stack_size(512 << 20)
    sys.exit(ThreadPoolExecutor(1).submit(main).result())
