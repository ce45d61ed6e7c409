"""The chart as Helm renders it, Palisade's files as its pod finds them, and what holds Kubernetes' objects."""

import functools
import os
import pathlib
import subprocess
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart"
# The oldest that the chart is for, and two that are current.
KUBERNETES = ["1.27", "1.33", "1.37"]
NEWEST = KUBERNETES[-1]
# Kinds that have no schema among Kubernetes' own; `objects` knows them.
OPERATORS = ("monitoring.coreos.com", "gateway.networking.k8s.io", "keda.sh", "istio.io")


class Failed(Exception):
    """What was looked at is not as it should be."""


def need(condition, *what):
    if not condition:
        raise Failed(" ".join(str(part) for part in what))


def run(*command, text=None):
    """The output of a command that must succeed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    need(done.returncode == 0, " ".join(map(str, command[:3])), "exits", done.returncode, done.stdout, done.stderr)
    return done.stdout


@functools.cache
def helm(*values, version=NEWEST, arguments=()):
    """The text of the chart with these files of values."""
    files = [part for file in values for part in ("--values", str(file))]
    return run("helm", "template", "palisade", str(CHART), "--namespace", "palisade",
               "--kube-version", f"{version}.0", *files, *arguments)


def objects(text):
    return [document for document in yaml.safe_load_all(text) if document]


def of(all_objects, kind, name=None):
    """The objects of a kind, or the one that also has this name."""
    found = [o for o in all_objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    if name is None:
        return found
    need(len(found) == 1, f"{len(found)} objects {kind} {name}")
    return found[0]


def valid(text, version):
    """Holds each object against the schema of that version, or the types of its operator; and pods against the standard."""
    for document in objects(text):
        if not any(group in document["apiVersion"] for group in OPERATORS):
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except Exception as fault:
                name = document["kind"], document["metadata"].get("name")
                raise Failed(f"{version} {name}: {fault}") from fault
    run("objects", text=text)


def pod_of(all_objects, name="palisade"):
    return of(all_objects, "Deployment", name)["spec"]["template"]


def mounted(pod, all_objects, folder, outside=None):
    """Writes what the pod's volume `config` has into `folder`. What the chart does not make comes from `outside`."""
    volume = next(v for v in pod["spec"]["volumes"] if v["name"] == "config")
    for source in volume["projected"]["sources"]:
        kind, of_it = ("ConfigMap", source["configMap"]) if "configMap" in source else ("Secret", source["secret"])
        made = [o for o in all_objects if o["kind"] == kind and o["metadata"]["name"] == of_it["name"]]
        data = {}
        for one in made:
            data = one.get("data") or one.get("stringData")
        for item in of_it["items"]:
            path = pathlib.Path(folder) / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            text = data[item["key"]] if made else outside(of_it["name"], item["key"])
            path.write_text(text)


def check(pod, all_objects, outside=None):
    """What `palisade check` says of the pod's files."""
    with tempfile.TemporaryDirectory() as folder:
        mounted(pod, all_objects, folder, outside)
        return run(os.environ["PALISADE"], "check", "--config", f"{folder}/palisade.yaml").replace(folder, "")
