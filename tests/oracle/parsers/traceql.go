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
		if n.kind == "SpansetFilter" {
			p.selectors = append(p.selectors, [][3]string{})
		}
	})
	always := alwaysTrue()
	for _, first := range firstStages(p.tree) {
		if isFilter(first, always) {
			p.open++
		} else {
			p.bare++
		}
	}
	return p, nil
}

// firstStages are those of all pipelines that are no combination of others.
func firstStages(tree *node) (stages []*node) {
	tree.walk(func(n *node) {
		elements := n.get("Elements")
		if n.kind == "Pipeline" && elements != nil && !combines(elements.parts[0].node) {
			stages = append(stages, elements.parts[0].node)
		}
	})
	return stages
}

// combines says whether n is made of pipelines in parentheses, which are looked at by themselves.
func combines(n *node) bool {
	switch n.kind {
	case "Pipeline":
		return true
	case "SpansetOperation":
		return combines(n.get("LHS")) || combines(n.get("RHS"))
	case "ScalarFilter":
		// `({} | count()) > ({} | count())` is two pipelines of their own.
		return !readsSpans(n.get("lhs")) && !readsSpans(n.get("rhs"))
	default:
		return false
	}
}

// isFilter says whether n is a filter of just the expression.
func isFilter(n, expression *node) bool {
	return n.kind == "SpansetFilter" && equal(n.get("Expression"), expression)
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

// stripTraceQL turns `{ T && (x) }` to `{ x }` and `{ T }` to `{ true }`. What lacks T is a filter, or a pipeline
// whose first stage is not `{ T }`.
func stripTraceQL(tree, _ *node, c textCase) (lacking int) {
	conditions := conditions(c)
	for _, first := range firstStages(tree) {
		if !isFilter(first, conditions) {
			lacking++
		}
	}
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

// normalTraceQL takes away what says the same with and without a scope.
func normalTraceQL(tree *node) {
	dropLeadingTrue(tree)
	dropHints(tree)
}

// dropHints leaves the hints that are kept: sampling and what needs a switch of Tempo's is dropped.
func dropHints(tree *node) {
	hints := tree.get("Hints")
	if hints == nil {
		return
	}
	list := hints.get("Hints")
	var kept []part
	for _, hint := range list.parts {
		if name := hint.node.get("Name").text; name == `"most_recent"` || name == `"exemplars"` {
			kept = append(kept, hint)
		}
	}
	list.parts = kept
	if len(kept) == 0 {
		tree.remove("Hints")
	}
}

// dropLeadingTrue takes `{ true } |` from pipelines, where it changes nothing: there the scope was put before
// what a caller wrote. That no pipeline lacks it was counted before.
func dropLeadingTrue(tree *node) {
	always := alwaysTrue()
	tree.walk(func(n *node) {
		elements := n.get("Elements")
		if n.kind != "Pipeline" || elements == nil {
			return
		}
		// The caller's own first one may be in parentheses, which the tree does not show.
		for len(elements.parts) > 1 && isFilter(elements.parts[0].node, always) {
			elements.parts = elements.parts[1:]
		}
	})
}
