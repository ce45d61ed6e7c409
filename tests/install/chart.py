"""The chart with every file of values: rendered for three versions of Kubernetes, valid, and of one piece."""

import functools
import subprocess

import yaml

from render import CHART, DEPLOY, KUBERNETES, NEWEST, check, helm, need, objects, of, pod_of, run, valid

VALUES = sorted(CHART.glob("ci/*-values.yaml")) + [DEPLOY / "platform/palisade.yaml"]
MINIMAL = CHART / "ci/minimal-values.yaml"
# What a values file names and the chart does not make.
ELSEWHERE = {"of-the-platform", "policies-of-the-platform", "palisade-serving", "palisade-loki", "palisade-salt"}
# Values that must be refused, each with what the refusal names.
REFUSED = {
    "replicas=-1": "replicas",
    "replica=3": "replica",
    "podSecurityContext=none": "podSecurityContext",
    "terminationGracePeriodSeconds=30": "terminationGracePeriodSeconds",
    "config.policies=elsewhere": "policies",
    "config.issuers=null": "issuers",
    "config.backends=null": "backends",
    "service.grpcPort=65536": "grpcPort",
    "networkPolicy.backends.loki.ports[0]=3100": "namespace",
    "networkPolicy.backends.loki.namespace=a,networkPolicy.backends.loki.podSelector.matchLabels.a=b,"
    "networkPolicy.backends.loki.ports[0]=3100": "config.backends has no such",
    "autoscaling.enabled=true,keda.enabled=true": "one decides",
    "ingress.enabled=true": "ingress.hosts",
    "ingress.enabled=true,ingress.backend=tempo,ingress.hosts[0].host=a": "no listener for backend tempo",
    "gateway.enabled=true": "gateway.parentRefs",
    "config.listen[0].address=0.0.0.0:80,config.listen[1].address=0.0.0.0:81": "two listeners",
    "gateway.enabled=true,gateway.grpc=true,gateway.parentRefs[0].name=a": "service.grpcPort",
    "existingPolicies.name=a": "existingPolicies.files",
}


def checks():
    for values in VALUES:
        name = values.name
        yield f"helm lints {name}", functools.partial(lint, values)
        for version in KUBERNETES:
            yield f"{name} is valid on {version}", functools.partial(valid_on, values, version)
        yield f"{name} is of one piece", functools.partial(of_one_piece, values)
        yield f"palisade takes {name}", functools.partial(palisade_takes, values)
    for refused, named in REFUSED.items():
        yield f"{refused} is refused", functools.partial(refuses, refused, named)
    yield "every value has a schema and every schema a value", values_and_schema
    yield "faults are found", faults_are_found
    yield "the version is that of the program", version_is_the_programs
    yield "pods drain where Kubernetes can sleep", drains
    yield "labels of monitors and rules can be set", labels_of_monitors
    yield "ports of a mesh begin with their protocol", mesh_ports


def lint(values):
    run("helm", "lint", "--strict", str(CHART), "--kube-version", f"{NEWEST}.0", "--values", str(values))


def valid_on(values, version):
    valid(helm(values, version=version), version)


def of_one_piece(values):
    """Each object finds the others that it names."""
    every = objects(helm(values))
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in every]
    need(len(names) == len(set(names)), "an object twice:", names)
    made = {o["metadata"]["name"] for o in every}
    (deployment,) = of(every, "Deployment")
    pod = deployment["spec"]["template"]
    labels, container = pod["metadata"]["labels"], pod["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    def selects(selector):
        return selector and all(labels.get(k) == v for k, v in selector.items())

    need(selects(deployment["spec"]["selector"]["matchLabels"]), "the deployment does not select its pods")
    services = {s["metadata"]["name"]: s for s in of(every, "Service")}
    reached = set()
    for name, service in services.items():
        need(selects(service["spec"]["selector"]), name, "selects no pod")
        for port in service["spec"]["ports"]:
            need(port["targetPort"] in ports, name, "leads to no port:", port)
            reached.add(port["targetPort"])
    need(reached == set(ports), "ports without a service:", set(ports) - reached)
    for probe in ("livenessProbe", "readinessProbe"):
        need(container[probe]["httpGet"]["port"] in ports, probe, "asks no port")
    for kind in ("HorizontalPodAutoscaler", "ScaledObject"):
        for one in of(every, kind):
            need(one["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"], kind)
    for one in of(every, "PodDisruptionBudget"):
        need(selects(one["spec"]["selector"]["matchLabels"]), "the budget is for no pod")
    for constraint in pod["spec"].get("topologySpreadConstraints", []):
        need(selects(constraint["labelSelector"]["matchLabels"]), "a constraint is for no pod")
    for monitor in of(every, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [s for s in services.values() if wanted <= s["metadata"]["labels"].items()]
        need(len(found) == 1, "a monitor finds", len(found), "services")
        need(monitor["spec"]["endpoints"][0]["port"] in [p["name"] for p in found[0]["spec"]["ports"]], "its port")
    for ingress in of(every, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            to = rule["http"]["paths"][0]["backend"]["service"]
            need(to["port"]["name"] in [p["name"] for p in services[to["name"]]["spec"]["ports"]], "ingress", to)
    for route in of(every, "HTTPRoute") + of(every, "GRPCRoute"):
        for to in route["spec"]["rules"][0]["backendRefs"]:
            need(to["port"] in [p["port"] for p in services[to["name"]]["spec"]["ports"]], "route", to)
    for workload in [pod] + of(every, "Pod"):
        for source in workload["spec"]["volumes"][0]["projected"]["sources"]:
            name = next(iter(source.values()))["name"]
            need(name in made | ELSEWHERE, name, "is mounted and not made")
        need(workload["spec"]["serviceAccountName"] in made | {"platform"} if workload is pod else True, "no account")
    for policy in of(every, "NetworkPolicy"):
        if policy["metadata"]["namespace"] == "palisade":
            need(selects(policy["spec"]["podSelector"]["matchLabels"]), "the policy is for no pod")
        else:
            peer = policy["spec"]["ingress"][0]["from"][0]
            need(selects(peer["podSelector"]["matchLabels"]), policy["metadata"]["name"], "lets Palisade not in")
            need(list(peer["namespaceSelector"]["matchLabels"].values()) == ["palisade"], "of another namespace")


def secret(name, key):
    """A file of a secret that is kept elsewhere: a certificate of its own, or a text that is long enough."""
    if not key.startswith(("tls.", "ca.")):
        return "0123456789abcdef" * 4
    return pair()[key.endswith(".key")]


@functools.cache
def pair():
    made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=palisade", "-keyout", "-", "-out", "-")
    at = made.index("-----BEGIN CERTIFICATE")
    return made[at:], made[:at]


def palisade_takes(values):
    """The configuration and the policies, as the pod finds them, are what `palisade check` loads."""
    every = objects(helm(values))
    (deployment,) = of(every, "Deployment")
    pod = deployment["spec"]["template"]
    if yaml.safe_load(values.read_text()).get("existingConfig"):
        need(all(next(iter(s.values()))["name"] in ELSEWHERE for s in pod["spec"]["volumes"][0]["projected"]["sources"]))
        return
    said = check(pod, every, secret)
    given = yaml.safe_load(values.read_text()).get("policies", {})
    rules, cases = (sum(len(p.get(k, [])) for p in given.values()) for k in ("rules", "cases"))
    need(f"{rules} rules, {cases} cases, 0 failed" in said, said)
    for one in of(every, "Pod"):
        need(check(one, every, secret) == said, "`helm test` sees other files")


def refuses(refused, named):
    done = subprocess.run(["helm", "template", "palisade", str(CHART), "--kube-version", f"{NEWEST}.0", "--values",
                           str(MINIMAL), "--set", refused], capture_output=True, text=True, check=False)
    need(done.returncode != 0, "it is taken")
    need(named in done.stderr, "the refusal does not name", named, ":", done.stderr)


def values_and_schema():
    """A key of values.yaml without a schema would be refused; one of the schema without a value is not documented."""
    import json
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def walk(value, schema, path):
        properties = schema.get("properties")
        if not isinstance(value, dict) or properties is None or schema.get("additionalProperties") is not False:
            return
        optional = {"global", "maxUnavailable"}
        need(set(value) == set(properties) - optional, path, set(value) ^ set(properties))
        for key, inner in value.items():
            walk(inner, properties[key], f"{path}.{key}")

    walk(values, schema, "values")


def faults_are_found():
    """The instruments themselves: each fault is found by one of them."""
    good = helm(DEPLOY / "platform/palisade.yaml")
    for was, becomes in [
        ("readOnly: true", "readonly: true"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        ("honorLabels: false", "honourLabels: false"),
        ("containerPort: 8080", "containerPort: eighty"),
        ("policyTypes: [Ingress]", "policyType: [Ingress]"),
        ("runAsNonRoot: true", "runAsNonRoot: false"),
        ("apiVersion: policy/v1", "apiVersion: policy/v1beta1"),
    ]:
        need(was in good, was)
        try:
            valid(good.replace(was, becomes), NEWEST)
        except Exception:
            continue
        need(False, f"nothing minds `{becomes}`")


def version_is_the_programs():
    import tomllib
    from render import ROOT
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    need(chart["version"] == chart["appVersion"] == version, chart, version)


def drains():
    for version in KUBERNETES:
        spec = pod_of(objects(helm(MINIMAL, version=version)))["spec"]
        slept = spec["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        need(bool(slept) == (version != "1.27"), version, slept)
        # Requests in flight have 30 seconds.
        need(spec["terminationGracePeriodSeconds"] > 30 + slept, "killed before requests have ended")


def labels_of_monitors():
    set_ = ("--set", "monitoring.serviceMonitor.enabled=true,monitoring.serviceMonitor.labels.release=other,"
            "monitoring.prometheusRule.enabled=true,monitoring.prometheusRule.labels.release=other")
    every = objects(helm(MINIMAL, arguments=set_))
    for kind in ("ServiceMonitor", "PrometheusRule"):
        need(of(every, kind, "palisade")["metadata"]["labels"]["release"] == "other", kind)
    mesh = objects(helm(CHART / "ci/mesh-values.yaml"))
    groups = of(mesh, "PrometheusRule", "palisade")["spec"]["groups"]
    alerts = {rule["alert"]: rule["labels"] for group in groups for rule in group["rules"]}
    need("PalisadeSlow" not in alerts and alerts["PalisadeErrors"] == {"severity": "warning", "team": "platform"}, alerts)
    need("PalisadeRestarts" in alerts, alerts)


def mesh_ports():
    for values in VALUES:
        for service in of(objects(helm(values)), "Service"):
            for port in service["spec"]["ports"]:
                protocol = port["name"].split("-")[0]
                need(protocol in ("http", "https", "grpc", "tls"), service["metadata"]["name"], port)
