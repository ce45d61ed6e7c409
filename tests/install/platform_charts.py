"""deploy/platform against the charts of the backends, whose facts are copied in facts.yaml, and against one another."""

import functools
import pathlib
from urllib.parse import urlparse

import yaml

from render import DEPLOY, helm, need, objects, of, valid, NEWEST

PLATFORM = DEPLOY / "platform"
FACTS = yaml.safe_load((pathlib.Path(__file__).parent / "facts.yaml").read_text())
# The backends of deploy/platform/palisade.yaml by the chart that has them.
CHART_OF = {
    "prometheus": "kube-prometheus-stack",
    "alertmanager": "kube-prometheus-stack",
    "loki": "loki",
    "tempo": "tempo-distributed",
}


def read(name):
    return yaml.safe_load((PLATFORM / name).read_text())


def checks():
    for fact in FACTS:
        name = f"{fact['chart']} {fact['version']}"
        yield f"{name} has the values that are set", functools.partial(has_keys, fact)
    for backend, chart in CHART_OF.items():
        yield f"palisade reaches {backend} by a service of {chart}", functools.partial(reached, backend, chart)
        yield f"{backend}: pods are closed, and open to who needs them", functools.partial(closed, backend, chart)
    yield "rules and monitors are those that kube-prometheus-stack takes", selected
    yield "tenancy is by the labels that palisade asks for", labels
    yield "collectors write where services are", collectors_write
    yield "the collector's objects are valid", collector_is_valid
    yield "who asks Prometheus by itself is switched off", nobody_asks_past_palisade
    yield "notifications are about one tenant", routes


def versions(chart):
    found = [fact for fact in FACTS if fact["chart"] == chart]
    need(len(found) == 2, chart, "has", len(found), "versions")
    return found


def leaves(value, path=()):
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield ".".join(path)


def has_keys(fact):
    """Each value that is set is one that the chart has, in at least this version or the other of a renamed pair."""
    renamed = {"global_overrides": "overrides", "overrides": "global_overrides"}
    for leaf in leaves(read(f"{fact['chart']}.yaml")):
        known = any(leaf == key or leaf.startswith(f"{key}.") for key in fact["keys"])
        first = leaf.split(".")[0]
        other = any(key.split(".")[0] == renamed.get(first) for key in fact["keys"])
        need(known or other, leaf)


def reached(backend, chart):
    """The URL is a service's, with a port that it has in the newest version."""
    url = urlparse(read("palisade.yaml")["config"]["backends"][backend]["url"])
    service, namespace, svc = url.hostname.split(".")
    need((namespace, svc) == ("monitoring", "svc"), url)
    newest = versions(chart)[-1]
    need(service in newest["services"], service, "is no service of", chart)
    ports = newest["services"][service]["ports"]
    need((url.port or 80) in ports, url, ports)
    # Before, it may have had another: then the policies know both.
    allowed = read("palisade.yaml")["networkPolicy"]["backends"][backend]
    for fact in versions(chart):
        leads = fact["services"][service]
        need(set(allowed["podSelector"]["matchLabels"].items()) <= set(leads["selector"].items()), "other pods")
    asked = {fact["services"][service]["ports"].get(url.port or 80) for fact in versions(chart)} - {None}
    need(asked <= set(allowed["ports"]), asked, "is not among", allowed["ports"])


def closed(backend, chart):
    """Its pods, all of them, take connections from Palisade and from who must reach them, and no others."""
    values = read("palisade.yaml")
    allowed = values["networkPolicy"]["backends"][backend]
    policy = of(objects(helm(PLATFORM / "palisade.yaml")), "NetworkPolicy", f"palisade-closes-{backend}")
    need(policy["metadata"]["namespace"] == "monitoring" and policy["spec"]["policyTypes"] == ["Ingress"], policy)
    own = {"app.kubernetes.io/name": backend}
    need(policy["spec"]["podSelector"]["matchLabels"] == own, "it is for other pods")
    known = [own, {"app.kubernetes.io/name": "prometheus"}, {"app.kubernetes.io/name": "loki"},
             {"app.kubernetes.io/name": "tempo", "app.kubernetes.io/component": "metrics-generator"},
             {"app.kubernetes.io/component": "opentelemetry-collector"}]
    for rule in policy["spec"]["ingress"]:
        need(rule.get("from"), "open to all")
        for peer in rule["from"][rule is policy["spec"]["ingress"][0]:]:
            labels_of = peer.get("podSelector", {}).get("matchLabels")
            need(labels_of in known and "ipBlock" not in peer, "who is", peer)
            # All ports only among themselves.
            need("ports" in rule or labels_of == own, peer, "reaches every port")
    ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", [])}
    for fact in versions(chart):
        pods = [p for p in fact["pods"].values() if p["labels"]["app.kubernetes.io/name"] == backend]
        need(pods, "the chart has no such pods")
        if chart == "kube-prometheus-stack":
            continue
        scraped = {pod["ports"].get("http-metrics") for pod in pods} - {None}
        need(scraped <= ports, "cannot be scraped:", scraped - ports)
    need(set(allowed["ports"]) <= ports, "Palisade is not let in")


def selected():
    labels_of = {"release": "kube-prometheus-stack"}
    every = objects(helm(PLATFORM / "palisade.yaml"))
    for kind in ("ServiceMonitor", "PrometheusRule"):
        need(labels_of.items() <= of(every, kind, "palisade")["metadata"]["labels"].items(), kind)


def labels():
    """What Palisade asks for in each backend is what the values of its chart make of it."""
    config = read("palisade.yaml")["config"]["backends"]
    dimensions = {"tenant", "region"}
    scrape = read("kube-prometheus-stack.yaml")["prometheus"]["prometheusSpec"]
    set_by_scrapes = {rule["targetLabel"] for rule in scrape["scrapeClasses"][0]["relabelings"]}
    need(scrape["overrideHonorLabels"] is True and scrape["scrapeClasses"][0]["default"] is True, scrape)
    need(set(config["prometheus"]["labels"].values()) == dimensions == set_by_scrapes, set_by_scrapes)
    index = read("loki.yaml")["loki"]["limits_config"]["otlp_config"]["resource_attributes"]["attributes_config"][0]
    need(index == {"action": "index_label", "attributes": list(config["loki"]["labels"].values())}, index)
    generator = read("tempo-distributed.yaml")["metricsGenerator"]["config"]["processor"]
    for processor in ("service_graphs", "span_metrics"):
        need(set(generator[processor]["dimensions"]) == dimensions, processor)
    need(set(config["tempo"]["labels"].values()) == {f"resource.{d}" for d in dimensions}, config["tempo"])
    roles = [role for cache in read("tempo-distributed.yaml")["cache"]["caches"] for role in cache["roles"]]
    need(("no_frontend_search_cache" in config["tempo"]["features"]) == ("frontend-search" not in roles), roles)


def collector():
    documents = list(yaml.safe_load_all((PLATFORM / "collector.yaml").read_text()))
    return documents, of(documents, "OpenTelemetryCollector", "platform")


def collectors_write():
    """Each exporter's URL is a service of a chart, and its pods take that port from collectors."""
    _, made = collector()
    rules = read("palisade.yaml")["networkPolicy"]["backends"]
    found = 0
    for exporter in made["spec"]["config"]["exporters"].values():
        url = urlparse(exporter["endpoint"])
        service = url.hostname.split(".")[0]
        fact = [f for f in FACTS if service in f["services"]][-1]
        backend = fact["services"][service]["selector"]["app.kubernetes.io/name"]
        port = fact["services"][service]["ports"][url.port or 80]
        let_in = [r for r in rules[backend]["from"] if {"podSelector": {"matchLabels": {
            "app.kubernetes.io/component": "opentelemetry-collector"}}} in r["peers"]]
        need(any(port in rule["ports"] for rule in let_in), service, port, "takes nothing from collectors")
        found += 1
    need(found == 3, found)


def collector_is_valid():
    documents, made = collector()
    valid(yaml.safe_dump_all([d for d in documents if d is not made]), NEWEST)
    config = made["spec"]["config"]
    # The operator's own type, v1beta1 of its version 0.158 (2026-08-21).
    need(set(made["spec"]) <= {"mode", "image", "serviceAccount", "env", "config"}, set(made["spec"]))
    association = config["processors"]["k8sattributes"]["pod_association"]
    need(association == [{"sources": [{"from": "connection"}]}], "a workload could say which pod it is")
    for pipeline in config["service"]["pipelines"].values():
        steps = pipeline["processors"]
        need(steps.index("transform/disown") < steps.index("k8sattributes") < steps.index("resource"), steps)


def nobody_asks_past_palisade():
    sources = read("kube-prometheus-stack.yaml")["grafana"]["sidecar"]["datasources"]
    need(sources["defaultDatasourceEnabled"] is False and sources["alertmanager"]["enabled"] is False, sources)


def routes():
    config = read("kube-prometheus-stack.yaml")["alertmanager"]["config"]
    receivers = {receiver["name"] for receiver in config["receivers"]}
    need({"tenant", "region"} <= set(config["route"]["group_by"]), config["route"])
    named = [config["route"], *config["route"]["routes"]]
    need(all(route["receiver"] in receivers for route in named), receivers)
    for rule in config["inhibit_rules"]:
        need("tenant" in rule["equal"], "one tenant's alert would inhibit another's:", rule)
