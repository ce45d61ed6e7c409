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

// scopeMatcher is how a selector carries one dimension. One value is an equality, and a pattern in an
// absent(), where equalities become labels of the answer.
func scopeMatcher(d dimension, absent bool) *node {
	if len(d.Values) == 1 && !absent {
		return matcherNode(labels.MatchEqual, d.Label, d.Values[0])
	}
	values := make([]string, len(d.Values))
	for i, value := range d.Values {
		values[i] = regexp.QuoteMeta(value)
	}
	return matcherNode(labels.MatchRegexp, d.Label, strings.Join(values, "|"))
}

func matcherNode(t labels.MatchType, name, value string) *node {
	return read(reflect.ValueOf(labels.Matcher{Type: t, Name: name, Value: value}))
}

// selectorsIn are the nodes of that kind, in the tree's order.
func selectorsIn(tree *node, kind string) (selectors []*node) {
	tree.walk(func(n *node) {
		if n.kind == kind {
			selectors = append(selectors, n)
		}
	})
	return selectors
}

// stripAll takes the scope out of each selector, and counts those that lack it. The matchers are the
// selectors' part called list; absent are the selectors whose equalities become labels.
func stripAll(tree, original *node, kind, list string, c textCase, absent map[*node]bool) (lacking int) {
	selectors, originals := selectorsIn(tree, kind), selectorsIn(original, kind)
	for i, selector := range selectors {
		matchers := selector.get(list)
		if matchers == nil {
			lacking++
			continue
		}
		var theirs *node
		if len(originals) == len(selectors) {
			theirs = originals[i].get(list)
		}
		lacks := false
		if !absent[selector] || !stripNothing(matchers, theirs) {
			for _, d := range c.Scope {
				lacks = !strip(matchers, theirs, d, absent[selector]) || lacks
			}
		}
		if len(matchers.parts) == 0 {
			matchers.kind = "" // As in a selector that never had a matcher.
		}
		if lacks {
			lacking++
		}
	}
	return lacking
}

// strip takes one dimension out of a selector's matchers; whether it carries it. In an absent(), a
// caller's own equality with a value of the scope is as good: then nothing was put beside theirs.
func strip(matchers, theirs *node, d dimension, absent bool) bool {
	form := scopeMatcher(d, absent)
	if absent && hasOwn(matchers, d) && count(matchers, form) == count(theirs, form) {
		return true
	}
	return remove(matchers, form)
}

// stripNothing takes out the two matchers that contradict each other; whether they were put there. They stand for the scope
// in an absent() that asks for what is outside of it: another matcher on that label would take it away from the answer.
func stripNothing(matchers, theirs *node) bool {
	some := matcherNode(labels.MatchRegexp, "__nothing__", ".+")
	none := matcherNode(labels.MatchNotRegexp, "__nothing__", ".+")
	if count(matchers, some) != count(theirs, some)+1 || count(matchers, none) != count(theirs, none)+1 {
		return false
	}
	return remove(matchers, some) && remove(matchers, none)
}

func count(list, wanted *node) (found int) {
	if list == nil {
		return 0
	}
	for _, p := range list.parts {
		if equal(p.node, wanted) {
			found++
		}
	}
	return found
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
