"""What wheels of a package index require, without downloading them: a script, since tests themselves reach no network.

``python tests/package_index.py NAME==VERSION …`` prints as JSON the METADATA of the wheel that suits this machine best,
null where the index serves it only inside of the wheel (see PEP 658).
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import Request, urlopen

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

INDEX = os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"
RANKS = {tag: rank for rank, tag in enumerate(sys_tags())}


def read(url: str, kind: str = "*/*") -> str:
    with urlopen(Request(url, headers={"Accept": kind}), timeout=20) as answer:
        return answer.read().decode()


def metadata(pin: str) -> str | None:
    name, version = pin.split("==")
    page = f"{INDEX.rstrip('/')}/{name}/"
    wheels = {}
    for file in json.loads(read(page, "application/vnd.pypi.simple.v1+json"))["files"]:
        if file["filename"].endswith(".whl") and file["filename"].split("-")[1] == version:
            tags = parse_wheel_filename(file["filename"])[3]
            wheels[min(RANKS.get(tag, len(RANKS)) for tag in tags)] = file["url"]
    if not wheels:
        raise LookupError(f"{pin} has no wheel in {INDEX}")
    try:
        return read(urljoin(page, wheels[min(wheels)]) + ".metadata")
    except HTTPError as error:
        if error.code == 404:
            return None
        raise


if __name__ == "__main__":
    with ThreadPoolExecutor(4) as pool:
        print(json.dumps(dict(zip(sys.argv[1:], pool.map(metadata, sys.argv[1:]), strict=True))))
