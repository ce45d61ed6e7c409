#!/usr/bin/env python3
"""Makes an OCI image layout of a static binary: one layer with the binary and the trusted roots, nothing else.

layout.py OUT --version VERSION [--roots FILE] ARCH=BINARY…

OUT becomes the layout (https://github.com/opencontainers/image-spec, version 1.1), with an index over the architectures (`amd64`,
`arm64`), for `skopeo copy oci:OUT docker://…` or `podman load`. The same files give the same bytes: times are
SOURCE_DATE_EPOCH, or 0.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import tarfile
import time

USER = "65532:65532"
CONFIG = {
    "User": USER,
    "ExposedPorts": {"8080/tcp": {}, "9095/tcp": {}},
    "Entrypoint": ["/palisade"],
    "Cmd": ["serve", "--config", "/etc/palisade/palisade.yaml"],
    "WorkingDir": "/",
}


class Layout:
    def __init__(self, folder, epoch):
        self.folder, self.epoch = pathlib.Path(folder), epoch
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "blobs/sha256").mkdir(parents=True)

    def blob(self, data, media_type, **more):
        digest = hashlib.sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data), **more}

    def json(self, value, media_type, **more):
        return self.blob(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), media_type, **more)

    def layer(self, files):
        """A layer of (path, mode, bytes), with the folders above them; and the digest of what it unpacks to."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            folders = sorted({str(parent) for path, _, _ in files for parent in pathlib.PurePath(path).parents} - {"."})
            for name, mode, data in [(folder, 0o755, None) for folder in folders] + files:
                entry = tarfile.TarInfo(name)
                entry.mode, entry.mtime = mode, self.epoch
                if data is None:
                    entry.type = tarfile.DIRTYPE
                    archive.addfile(entry)
                else:
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
        packed = gzip.compress(raw.getvalue(), compresslevel=9, mtime=0)
        return self.blob(packed, "layer.v1.tar+gzip"), hashlib.sha256(raw.getvalue()).hexdigest()

    def image(self, architecture, files, version):
        layer, unpacked = self.layer(files)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.epoch))
        labels = {
            "org.opencontainers.image.title": "palisade",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.source": "https://github.com/palisade-proxy/palisade",
        }
        config = self.json({
            "architecture": architecture, "os": "linux", "created": created, "config": {**CONFIG, "Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{unpacked}"]},
        }, "config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
                    "layers": [layer]}
        platform = {"architecture": architecture, "os": "linux"}
        return self.json(manifest, "manifest.v1+json", platform=platform)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out")
    parser.add_argument("--version", required=True)
    parser.add_argument("--roots", default="/etc/ssl/certs/ca-certificates.crt")
    parser.add_argument("binary", nargs="+", metavar="ARCH=BINARY")
    arguments = parser.parse_args()
    layout = Layout(arguments.out, int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    roots = pathlib.Path(arguments.roots).read_bytes()
    manifests = []
    for binary in arguments.binary:
        architecture, _, path = binary.partition("=")
        files = [("palisade", 0o755, pathlib.Path(path).read_bytes()), ("etc/ssl/certs/ca-certificates.crt", 0o644, roots)]
        manifests.append(layout.image(architecture, files, arguments.version))
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
    top = layout.json(index, "index.v1+json", annotations={"org.opencontainers.image.ref.name": arguments.version})
    write = lambda name, value: (layout.folder / name).write_text(json.dumps(value, sort_keys=True) + "\n")
    write("oci-layout", {"imageLayoutVersion": "1.0.0"})
    write("index.json", {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [top]})
    print(top["digest"])


main()
