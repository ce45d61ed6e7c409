#!/usr/bin/env python3
"""Prints what a binary is made of, as CycloneDX 1.6: the crates that `cargo metadata` resolves for it, without those of tests."""

import hashlib
import json
import os
import subprocess
import tomllib
import uuid


def main():
    found = json.loads(subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform",
                                       os.environ.get("TARGET", "x86_64-unknown-linux-gnu")], check=True,
                                      capture_output=True, text=True).stdout)
    packages = {package["id"]: package for package in found["packages"]}
    nodes = {node["id"]: node for node in found["resolve"]["nodes"]}
    sums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(open("Cargo.lock", "rb"))["package"]}
    root = found["resolve"]["root"]
    below, open_ = {}, [root]
    while open_:
        node = open_.pop()
        if node in below:
            continue
        # Dependencies of tests are of the root alone; those of builds are not in the binary either.
        below[node] = sorted(d["pkg"] for d in nodes[node]["deps"] if any(k["kind"] is None for k in d["dep_kinds"]))
        open_ += below[node]

    def reference(node):
        return f"pkg:cargo/{packages[node]['name']}@{packages[node]['version']}"

    def component(node):
        package = packages[node]
        made = {"type": "library" if node != root else "application", "bom-ref": reference(node), "name": package["name"],
                "version": package["version"], "purl": reference(node)}
        if package.get("license"):
            made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        checksum = sums.get((package["name"], package["version"]))
        if checksum:
            made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        return made

    components = sorted((component(node) for node in below if node != root), key=lambda c: c["bom-ref"])
    depends = sorted(({"ref": reference(n), "dependsOn": sorted(map(reference, d))} for n, d in below.items()), key=lambda d: d["ref"])
    seed = hashlib.sha256(json.dumps([components, depends], sort_keys=True).encode()).digest()
    print(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{uuid.UUID(bytes=seed[:16], version=4)}",
                      "version": 1, "metadata": {"component": component(root)}, "components": components,
                      "dependencies": depends}, indent=1))


main()
