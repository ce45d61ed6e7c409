#!/usr/bin/env python3
"""A small bookstore that sends OTLP: traces across nine services, with the metrics and logs that belong to them.

It sends to a collector (--to URL) until it is stopped, or --rounds times. Some requests fail (--errors) and some are slow
(--slow); on SIGUSR1 half of the payments fail for two minutes. With --claims it says that its data are of that tenant, as a
workload may try to. With --report it prints the ids of the traces that it has sent, as JSON. It needs nothing but Python.
"""

import argparse
import json
import random
import secrets
import signal
import time
import urllib.request

# Who calls whom in one request, with the span's name; each is a service of its own.
BROWSE = ("storefront", "GET /books/{id}", [
    ("catalog", "GET /catalog/{id}", [("search", "query index", [])]),
    ("recommendations", "GET /recommendations", []),
])
BUY = ("storefront", "POST /orders", [
    ("cart", "GET /cart", []),
    ("checkout", "POST /checkout", [
        ("payments-gateway", "POST /charge", []),
        ("inventory", "POST /reserve", []),
        ("shipping", "POST /labels", []),
    ]),
])
BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5]
FAILING_SECONDS = 120


def attributes(**values):
    return [{"key": key.replace("__", "."), "value": {"stringValue": str(value)}} for key, value in values.items()]


class Bookstore:
    """What was counted so far, and how the next requests go."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.counts, self.durations = {}, {}
        self.started = time.time_ns()
        self.failing_until = 0.0
        self.sent = {"error": [], "slow": [], "fine": []}

    def resource(self, service):
        said = attributes(service__name=service, deployment__environment="bookstore")
        if self.arguments.claims:
            # Twice, as OTLP allows, and a region that is not its own.
            said += attributes(tenant=self.arguments.claims, region="nowhere")
            said += attributes(tenant=self.arguments.claims)
        return {"attributes": said}

    def spans(self, call, trace, parent, start, kind, spans):
        """The spans of a call and those below it, by service; its end and whether it failed."""
        service, name, below = call
        span, at = secrets.token_hex(8), start + 1_000_000
        failed = False
        for inner in below:
            at, inner_failed = self.spans(inner, trace, span, at, kind, spans)
            failed |= inner_failed
        at += random.randint(2, 20) * 1_000_000
        if service == "payments-gateway":
            failed |= kind == "error"
            at += 1_500_000_000 if kind == "slow" else 0
        code = 500 if failed else 200
        spans.setdefault(service, []).append({
            "traceId": trace, "spanId": span, "parentSpanId": parent, "name": name, "kind": 2,
            "startTimeUnixNano": str(start), "endTimeUnixNano": str(at),
            "attributes": attributes(http__response__status_code=code, http__route=name),
            "status": {"code": 2} if failed else {},
        })
        self.count(service, code, (at - start) / 1e9, trace, span, at)
        return at, failed

    def count(self, service, code, seconds, trace, span, at):
        key = (service, code)
        self.counts[key] = self.counts.get(key, 0) + 1
        buckets = self.durations.setdefault(service, {"counts": [0] * (len(BUCKETS) + 1), "sum": 0.0, "exemplars": []})
        buckets["counts"][sum(seconds > bound for bound in BUCKETS)] += 1
        buckets["sum"] += seconds
        buckets["exemplars"].append({"timeUnixNano": str(at), "asDouble": seconds, "traceId": trace, "spanId": span})

    def round(self):
        """A few requests, and what they leave."""
        spans, logs = {}, {}
        for _ in range(self.arguments.requests):
            kind = self.kind()
            call = BUY if kind != "fine" or random.random() < 0.5 else BROWSE
            trace, now = secrets.token_hex(16), time.time_ns()
            before = {service: len(made) for service, made in spans.items()}
            self.spans(call, trace, "", now - 3_000_000_000, kind, spans)
            self.sent[kind].append(trace)
            for service, made in spans.items():
                for span in made[before.get(service, 0):]:
                    failed = span["status"].get("code") == 2
                    line = {"level": "error" if failed else "info", "message": span["name"], "order": secrets.token_hex(4)}
                    logs.setdefault(service, []).append({
                        "timeUnixNano": span["endTimeUnixNano"], "traceId": trace, "spanId": span["spanId"],
                        "severityText": "ERROR" if failed else "INFO", "severityNumber": 17 if failed else 9,
                        "body": {"stringValue": ("ERROR " if failed else "") + json.dumps(line)},
                    })
        self.post("traces", {"resourceSpans": [
            {"resource": self.resource(service), "scopeSpans": [{"scope": {"name": "bookstore"}, "spans": made}]}
            for service, made in spans.items()]})
        self.post("logs", {"resourceLogs": [
            {"resource": self.resource(service), "scopeLogs": [{"scope": {"name": "bookstore"}, "logRecords": made}]}
            for service, made in logs.items()]})
        self.post("metrics", {"resourceMetrics": [self.metrics(service) for service in self.durations]})

    def kind(self):
        if time.monotonic() < self.failing_until and random.random() < 0.5:
            return "error"
        chance = random.random()
        if chance < self.arguments.errors:
            return "error"
        return "slow" if chance < self.arguments.errors + self.arguments.slow else "fine"

    def metrics(self, service):
        span = {"startTimeUnixNano": str(self.started), "timeUnixNano": str(time.time_ns())}
        points = [{**span, "asInt": str(count), "attributes": attributes(service=of, code=code)}
                  for (of, code), count in self.counts.items() if of == service]
        buckets = self.durations[service]
        exemplars, buckets["exemplars"] = buckets["exemplars"][-5:], []
        histogram = {**span, "count": str(sum(buckets["counts"])), "sum": buckets["sum"], "explicitBounds": BUCKETS,
                     "bucketCounts": [str(n) for n in buckets["counts"]], "exemplars": exemplars,
                     "attributes": attributes(service=service)}
        return {"resource": self.resource(service), "scopeMetrics": [{"scope": {"name": "bookstore"}, "metrics": [
            {"name": "http.requests", "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}},
            {"name": "http.request.duration", "unit": "s",
             "histogram": {"aggregationTemporality": 2, "dataPoints": [histogram]}},
        ]}]}

    def post(self, signal_name, body):
        request = urllib.request.Request(f"{self.arguments.to}/v1/{signal_name}", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def fail_for_a_while(self, *_):
        self.failing_until = time.monotonic() + FAILING_SECONDS


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--to", default="http://127.0.0.1:4318", help="the collector's OTLP over HTTP")
    parser.add_argument("--requests", type=int, default=5, help="requests in a round")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between rounds")
    parser.add_argument("--rounds", type=int, default=0, help="rounds, 0: until stopped")
    parser.add_argument("--errors", type=float, default=0.02, help="part of the requests that fail")
    parser.add_argument("--slow", type=float, default=0.05, help="part of the requests that are slow")
    parser.add_argument("--claims", default="", help="say that the data are of this tenant")
    parser.add_argument("--report", action="store_true", help="print the ids of the traces at the end")
    arguments = parser.parse_args()
    bookstore = Bookstore(arguments)
    signal.signal(signal.SIGUSR1, bookstore.fail_for_a_while)
    done = 0
    while arguments.rounds == 0 or done < arguments.rounds:
        if done:
            time.sleep(arguments.every)
        try:
            bookstore.round()
        except OSError as fault:
            if arguments.rounds:
                raise
            print(f"bookstore: {fault}; again in {arguments.every} s", flush=True)
        done += 1
    if arguments.report:
        requests = [{"service": service, "code": code, "count": n} for (service, code), n in bookstore.counts.items()]
        print(json.dumps({"traces": bookstore.sent, "requests": requests}))


main()
