// Reads {"lang", "query"} a line, writes {"ok", "selectors"}: whether the editor's grammar reads the
// query without an error, and how many selectors it sees.
import { createInterface } from 'node:readline';
import { parser as logql } from '@grafana/lezer-logql';
import { parser as traceql } from '@grafana/lezer-traceql';
import { parser as promql } from '@prometheus-io/lezer-promql';

const languages = {
  logql: [logql, 'Selector'],
  promql: [promql, 'VectorSelector'],
  traceql: [traceql, 'SpansetFilter'],
};

const out = [];
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { lang, query } = JSON.parse(line);
  const [parser, selector] = languages[lang];
  let ok = true;
  let selectors = 0;
  parser.parse(query).iterate({
    enter(node) {
      ok &&= !node.type.isError;
      if (node.name === selector) selectors += 1;
    },
  });
  out.push(JSON.stringify({ ok, selectors }));
}
process.stdout.write(out.map((line) => line + '\n').join(''));
