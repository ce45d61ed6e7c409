package main

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// What PromQL and LogQL share: selectors of label matchers.

// selectorsOf are the matchers in the part called list of each node of that kind.
func selectorsOf(tree *node, kind, list string) (selectors [][][3]string) {
	tree.walk(func(n *node) {
		if n.kind != kind {
			return
		}
		matchers := [][3]string{}
		if list := n.get(list); list != nil {
			for _, p := range list.parts {
				op := labels.MatchEqual
				if t := p.node.get("Type"); t != nil {
					number, _ := strconv.Atoi(t.text)
					op = labels.MatchType(number)
				}
				name, value := unquoted(p.node.get("Name")), unquoted(p.node.get("Value"))
				matchers = append(matchers, [3]string{name, op.String(), inHex(value)})
			}
		}
		selectors = append(selectors, sortedMatchers(matchers))
	})
	return selectors
}

// unquoted is what a string's node says; an empty string has no node.
func unquoted(n *node) string {
	if n == nil {
		return ""
	}
	text, err := strconv.Unquote(n.text)
	if err != nil {
		panic(err)
	}
	return text
}

// scopeMatchers are the forms in which a selector may carry one dimension, the usual one first. One
// value is an equality, and a pattern in an absent(), where equalities become labels of the answer.
func scopeMatchers(d dimension, absent bool) []*node {
	values := make([]string, len(d.Values))
	for i, value := range d.Values {
		values[i] = regexp.QuoteMeta(value)
	}
	pattern := matcherNode(labels.MatchRegexp, d.Label, strings.Join(values, "|"))
	if len(d.Values) > 1 || absent {
		return []*node{pattern}
	}
	return []*node{matcherNode(labels.MatchEqual, d.Label, d.Values[0])}
}

func matcherNode(t labels.MatchType, name, value string) *node {
	return read(reflect.ValueOf(labels.Matcher{Type: t, Name: name, Value: value}))
}

// stripMatchers takes the scope out of the list of matchers that is the part called name of selector.
// With own, in an absent(), a caller's equality with a value of the scope is as good, and stays.
func stripMatchers(selector *node, name string, c textCase, absent bool) (lacking int) {
	list := selector.get(name)
	if list == nil {
		return 1
	}
	lacks := false
	for _, d := range c.Scope {
		if absent && c.Own && hasOwn(list, d) {
			continue
		}
		removed := false
		for _, form := range scopeMatchers(d, absent) {
			removed = removed || remove(list, form)
		}
		lacks = lacks || !removed
	}
	if len(list.parts) == 0 {
		list.kind = "" // As in a selector that never had a matcher.
	}
	if lacks {
		return 1
	}
	return 0
}

func hasOwn(list *node, d dimension) bool {
	for _, value := range d.Values {
		own := matcherNode(labels.MatchEqual, d.Label, value)
		for _, p := range list.parts {
			if equal(p.node, own) {
				return true
			}
		}
	}
	return false
}

// remove takes the first part of list that equals gone.
func remove(list, gone *node) bool {
	for i, p := range list.parts {
		if equal(p.node, gone) {
			list.parts = append(list.parts[:i:i], list.parts[i+1:]...)
			return true
		}
	}
	return false
}
