"""deploy/kustomize is what the chart renders, for who has no Helm."""

import yaml

from render import DEPLOY, KUBERNETES, check, helm, need, objects, of, pod_of, run, valid

FOLDER = DEPLOY / "kustomize"
PLATFORM = DEPLOY / "platform/palisade.yaml"
HEADER = "# Rendered from deploy/chart: `tests/install/run --update` writes it.\n"


def rendered():
    """The files that are made from the chart, by path."""
    made = (PLATFORM, FOLDER / "values.yaml")
    off = ("--set", "monitoring.serviceMonitor.enabled=false,monitoring.prometheusRule.enabled=false")
    platform = objects(helm(PLATFORM))
    data = of(platform, "ConfigMap", "palisade-config")["data"] | of(platform, "ConfigMap", "palisade-policies")["data"]
    files = {
        "base/objects.yaml": plain(helm(*made, arguments=off)),
        "monitoring/objects.yaml": plain(helm(*made, arguments=("--show-only", "templates/monitoring.yaml"))),
        "base/palisade.yaml": data.pop("palisade.yaml"),
    }
    files |= {f"base/policies/{name}": text for name, text in data.items()}
    return {name: HEADER + text for name, text in files.items()}


def plain(text):
    """The objects, less what only Helm sets: by whom they are managed."""
    every = objects(text)
    for document in every:
        holders = [document["metadata"], document.get("spec", {}).get("template", {}).get("metadata", {})]
        for labels in (holder.get("labels", {}) for holder in holders):
            for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
                labels.pop(label, None)
    return yaml.safe_dump_all(every, sort_keys=False, width=120)


def update():
    for name, text in rendered().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def checks():
    yield "kustomize: files are those of the chart", same
    yield "kustomize builds the base", builds
    yield "kustomize takes the monitoring", builds_monitoring


def same():
    for name, text in rendered().items():
        path = FOLDER / name
        need(path.exists() and path.read_text() == text, name, "is old: run tests/install/run --update")


def builds():
    text = run("kustomize", "build", str(FOLDER / "base"))
    every = objects(text)
    # It says `sleep`, which 1.27 does not know.
    for version in KUBERNETES[1:]:
        valid(text, version)
    said = check(pod_of(every), every)
    need("1 rules, 3 cases, 0 failed" in said, said)


def builds_monitoring():
    import tempfile
    import os
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        with open(os.path.join(folder, "kustomization.yaml"), "w") as overlay:
            overlay.write("resources: [../base]\ncomponents: [../monitoring]\n")
        every = objects(run("kustomize", "build", folder))
    for kind in ("ServiceMonitor", "PrometheusRule", "Deployment"):
        of(every, kind, "palisade")
