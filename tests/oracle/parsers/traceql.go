package main

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/grafana/tempo/pkg/traceql"
)

func parseTraceQL(query, entry string) (parsed, error) {
	root, err := traceql.Parse(query)
	if err != nil {
		return parsed{}, err
	}
	if err := traceql.Validate(root); err != nil {
		return parsed{}, err
	}
	p := parsed{print: root.String}
	if entry == "print" {
		return p, nil
	}
	p.tree = read(reflect.ValueOf(root))
	p.metrics = p.tree.get("MetricsPipeline") != nil
	p.tree.walk(func(n *node) {
		switch n.kind {
		case "SpansetFilter":
			p.selectors = append(p.selectors, [][3]string{})
		case "Pipeline":
			if elements := n.get("Elements"); elements == nil || !isSpanset(elements.parts[0].node) {
				p.bare++
			}
		case "SpansetOperation":
			for _, side := range []string{"LHS", "RHS"} {
				if !isSpanset(n.get(side)) {
					p.bare++
				}
			}
		}
	})
	return p, nil
}

// isSpanset says whether spans come from filters here, or from pipelines in parentheses, which are
// looked at by themselves.
func isSpanset(n *node) bool {
	switch n.kind {
	case "SpansetFilter", "SpansetOperation", "Pipeline":
		return true
	case "ScalarFilter":
		// `({} | count()) > ({} | count())` is two pipelines of their own.
		return !readsSpans(n.get("lhs")) && !readsSpans(n.get("rhs"))
	default:
		return false
	}
}

// readsSpans says whether a scalar has an aggregate outside of any pipeline.
func readsSpans(scalar *node) bool {
	if scalar == nil || scalar.kind == "Pipeline" {
		return false
	}
	if scalar.kind == "Aggregate" {
		return true
	}
	for _, p := range scalar.parts {
		if readsSpans(p.node) {
			return true
		}
	}
	return false
}

// stripTraceQL turns `{ T && (x) }` to `{ x }` and `{ T }` to `{ true }`.
func stripTraceQL(tree, _ *node, c textCase) (lacking int) {
	conditions := conditions(c)
	tree.walk(func(n *node) {
		if n.kind != "SpansetFilter" {
			return
		}
		expression := n.get("Expression")
		switch {
		case equal(expression, conditions):
			n.set("Expression", alwaysTrue())
		case isAnd(expression) && equal(expression.get("LHS"), conditions):
			n.set("Expression", expression.get("RHS"))
		default:
			lacking++
		}
	})
	return lacking
}

// conditions is the tree of T.
func conditions(c textCase) *node {
	var all []string
	for _, d := range c.Scope {
		values := make([]string, len(d.Values))
		for i, value := range d.Values {
			values[i] = regexp.QuoteMeta(value)
		}
		if len(d.Values) == 1 {
			all = append(all, d.Label+" = "+strconv.Quote(d.Values[0]))
		} else {
			all = append(all, d.Label+" =~ "+strconv.Quote("^(?:"+strings.Join(values, "|")+")$"))
		}
		if c.Shown {
			all = append(all, d.Label+" != nil")
		}
	}
	return filterOf("{ " + strings.Join(all, " && ") + " }")
}

func alwaysTrue() *node { return filterOf("{ true }") }

// filterOf is what stands in the filter that is the whole text.
func filterOf(text string) *node {
	root, err := traceql.Parse(text)
	if err != nil {
		panic(err)
	}
	elements := read(reflect.ValueOf(root)).get("Pipeline", "Elements")
	return elements.parts[0].node.get("Expression")
}

func isAnd(n *node) bool {
	return n.kind == "BinaryOperation" && equal(n.get("Op"), read(reflect.ValueOf(traceql.OpAnd)))
}

// dropLeadingTrue takes `{ true } |` from pipelines, where it changes nothing: there a scope may have
// been put before a pipeline without a filter. That none lacks it was counted before.
func dropLeadingTrue(tree *node) {
	always := alwaysTrue()
	tree.walk(func(n *node) {
		elements := n.get("Elements")
		if n.kind != "Pipeline" || elements == nil || len(elements.parts) < 2 {
			return
		}
		first := elements.parts[0].node
		if first.kind == "SpansetFilter" && equal(first.get("Expression"), always) {
			elements.parts = elements.parts[1:]
		}
	})
}
