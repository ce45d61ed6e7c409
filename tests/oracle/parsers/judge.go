package main

import (
	"encoding/hex"
	"fmt"
	"sort"
	"time"
)

// textCase is a caller's text and, if it was scoped, what was made of it.
type textCase struct {
	Lang string `json:"lang"`
	// What the text must be: "selector" for PromQL's and LogQL's selectors, else an expression.
	Entry string `json:"entry"`
	Query string `json:"query"`
	// The scoped text; absent if the query was refused.
	Scoped *string     `json:"scoped"`
	Scope  []dimension `json:"scope"`
	// For TraceQL: the scope also says that each of its attributes is there.
	Shown bool `json:"shown"`
	// How often to parse and print the query, to take the time.
	Repeat int `json:"repeat"`
}

type dimension struct {
	Label  string   `json:"label"`
	Values []string `json:"values"`
}

// verdict is what the backend's parser says.
type verdict struct {
	// Whether it takes the query, and why not.
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// The selectors' matchers as [name, operator, value in hex], both sorted; in TraceQL empty lists.
	Selectors [][][3]string `json:"selectors,omitempty"`
	// TraceQL: how many pipelines begin with a filter that is always true, and how many with anything else, and whether
	// it is a metrics query.
	Open    int  `json:"open,omitempty"`
	Bare    int  `json:"bare,omitempty"`
	Metrics bool `json:"metrics,omitempty"`
	// What it says of the scoped text.
	Scoped *scopedVerdict `json:"scoped,omitempty"`
	// Nanoseconds to parse and print once.
	Nanos int64 `json:"nanos,omitempty"`
}

type scopedVerdict struct {
	OK        bool   `json:"ok"`
	Error     string `json:"error,omitempty"`
	Selectors int    `json:"selectors"`
	// Selectors and pipelines that lack the scope.
	Lacking int `json:"lacking"`
	// Whether it is the query's tree once the scope's matchers are out, and both trees if not.
	Same     bool   `json:"same"`
	Tree     string `json:"tree,omitempty"`
	Original string `json:"original,omitempty"`
}

// parsed is a text that a backend's parser takes.
type parsed struct {
	tree      *node
	selectors [][][3]string
	open      int
	bare      int
	metrics   bool
	print     func() string
}

// language is one backend's parser.
type language struct {
	parse func(query, entry string) (parsed, error)
	// strip takes the scope out of a tree and counts the selectors that lack it.
	strip func(tree, original *node, c textCase) (lacking int)
	// normal rewrites what may be written in two ways with and without a scope.
	normal func(tree *node)
}

var languages = map[string]language{
	"promql":  {parsePromQL, stripPromQL, func(*node) {}},
	"logql":   {parseLogQL, stripLogQL, func(*node) {}},
	"traceql": {parseTraceQL, stripTraceQL, normalTraceQL},
}

// judge parses the query and its scoped form, and compares the two.
func judge(c textCase) (v verdict) {
	language, known := languages[c.Lang]
	if !known {
		return verdict{Error: "no such language"}
	}
	original, err := parseSafely(language, c.Query, c.Entry)
	if err != nil {
		v.Error = err.Error()
	} else {
		v.OK, v.Selectors, v.Metrics = true, original.selectors, original.metrics
		v.Open, v.Bare = original.open, original.bare
		if c.Repeat > 0 {
			v.Nanos = timed(language, c)
		}
	}
	if c.Scoped == nil {
		return v
	}
	scoped, err := parseSafely(language, *c.Scoped, c.Entry)
	if err != nil {
		v.Scoped = &scopedVerdict{Error: err.Error()}
		return v
	}
	s := &scopedVerdict{OK: true, Selectors: len(scoped.selectors)}
	s.Lacking = language.strip(scoped.tree, original.tree, c)
	if v.OK {
		language.normal(original.tree)
		language.normal(scoped.tree)
		s.Tree, s.Original = scoped.tree.String(), original.tree.String()
		if s.Same = s.Tree == s.Original; s.Same {
			s.Tree, s.Original = "", ""
		}
	}
	v.Scoped = s
	return v
}

// parseSafely counts a panic as a refusal that says so.
func parseSafely(language language, query, entry string) (p parsed, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return language.parse(query, entry)
}

func timed(language language, c textCase) int64 {
	start := time.Now()
	for range c.Repeat {
		if p, err := language.parse(c.Query, "print"); err == nil {
			p.print()
		}
	}
	return time.Since(start).Nanoseconds() / int64(c.Repeat)
}

// sortedMatchers are a selector's matchers in an order that the text's does not change.
func sortedMatchers(matchers [][3]string) [][3]string {
	sort.Slice(matchers, func(i, j int) bool {
		a, b := matchers[i], matchers[j]
		return a[0] < b[0] || a[0] == b[0] && (a[1] < b[1] || a[1] == b[1] && a[2] < b[2])
	})
	return matchers
}

func inHex(text string) string { return hex.EncodeToString([]byte(text)) }
