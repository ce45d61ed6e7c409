package main

import (
	"errors"
	"reflect"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// With the features on that Palisade knows.
var promQL = parser.NewParser(parser.Options{
	EnableExperimentalFunctions: true,
	EnableBinopFillModifiers:    true,
})

func parsePromQL(query, entry string) (parsed, error) {
	if entry == "selector" {
		return parseMetricSelector(query)
	}
	expr, err := promQL.ParseExpr(query)
	if err != nil {
		return parsed{}, err
	}
	p := parsed{print: expr.String}
	if entry == "print" {
		return p, nil
	}
	p.tree = read(reflect.ValueOf(expr))
	p.selectors = selectorsOf(p.tree, "VectorSelector", "LabelMatchers")
	return p, nil
}

// parseMetricSelector reads a text as match[] is read (web/api/v1, parseMatchersParam).
func parseMetricSelector(query string) (parsed, error) {
	matchers, err := promQL.ParseMetricSelector(query)
	if err != nil {
		return parsed{}, err
	}
	if allMatchEmpty(matchers) {
		return parsed{}, errors.New("match[] must contain at least one non-empty matcher")
	}
	selector := &parser.VectorSelector{LabelMatchers: matchers}
	tree := read(reflect.ValueOf(selector))
	return parsed{tree: tree, selectors: selectorsOf(tree, "VectorSelector", "LabelMatchers"), print: selector.String}, nil
}

func allMatchEmpty(matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches("") {
			return false
		}
	}
	return true
}

func stripPromQL(tree, original *node, c textCase) (lacking int) {
	absent := map[*node]bool{}
	tree.walk(func(n *node) {
		if n.kind == "Call" {
			if f := n.get("Func"); f.text == "absent" || f.text == "absent_over_time" {
				absent[argument(n)] = true
			}
		}
	})
	return stripAll(tree, original, "VectorSelector", "LabelMatchers", c, absent)
}

// argument is the selector that is the first argument of a call, in parentheses or not.
func argument(call *node) *node {
	args := call.get("Args")
	if args == nil || len(args.parts) == 0 {
		return nil
	}
	n := args.parts[0].node
	for n != nil && n.kind == "ParenExpr" {
		n = n.get("Expr")
	}
	if n != nil && n.kind == "MatrixSelector" {
		n = n.get("VectorSelector")
	}
	return n
}
