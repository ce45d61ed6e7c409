package main

import (
	"reflect"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

func parseLogQL(query, entry string) (parsed, error) {
	expr, err := syntax.ParseExpr(query)
	if err == nil && entry == "selector" {
		_, err = syntax.ParseMatchers(query, true)
	}
	if err != nil {
		return parsed{}, err
	}
	p := parsed{print: expr.String}
	if entry == "print" {
		return p, nil
	}
	p.tree = read(reflect.ValueOf(expr))
	p.selectors = selectorsOf(p.tree, "MatchersExpr", "Mts")
	return p, nil
}

func stripLogQL(tree, original *node, c textCase) (lacking int) {
	absent := map[*node]bool{}
	tree.walk(func(n *node) {
		if n.kind == "RangeAggregationExpr" {
			if op := n.get("Operation"); op != nil && op.text == `"absent_over_time"` {
				n.get("Left").walk(func(below *node) { absent[below] = true })
			}
		}
	})
	return stripAll(tree, original, "MatchersExpr", "Mts", c, absent)
}
