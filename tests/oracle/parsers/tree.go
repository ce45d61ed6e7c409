package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// node is a part of a parser's tree without its positions: a value's type, what it says if it is a
// leaf, and its parts. Two texts are the same query if their nodes are equal.
type node struct {
	kind  string
	text  string
	parts []part
}

// part is a field of a struct, or an element of a list, which has no name.
type part struct {
	name string
	node *node
}

// Left out: positions, and what the parser compiled from values that the tree has, too.
var leftOut = map[reflect.Type]bool{
	reflect.TypeFor[posrange.PositionRange]():   true,
	reflect.TypeFor[posrange.Pos]():             true,
	reflect.TypeFor[labels.FastRegexMatcher]():  true,
	reflect.TypeFor[*labels.FastRegexMatcher](): true,
	reflect.TypeFor[regexp.Regexp]():            true,
}

// The same, by package and name, for types that have no exported name here.
var leftOutNames = []string{"regexp.Regexp", "traceql.branchOptimizer", "regexp.regexp"}

// read makes nodes of any value, unexported fields included. What is empty has none.
func read(v reflect.Value) *node {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() || isLeftOut(v.Type()) {
			return nil
		}
		if v.Type() == reflect.TypeFor[*parser.Function]() {
			return &node{kind: "Function", text: v.Elem().FieldByName("Name").String()}
		}
		v = v.Elem()
	}
	if isLeftOut(v.Type()) {
		return nil
	}
	n := &node{kind: v.Type().Name()}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Field(i)
			if (field.Kind() != reflect.Struct && field.IsZero()) || isLeftOut(field.Type()) {
				continue
			}
			if read := read(field); read != nil {
				n.parts = append(n.parts, part{v.Type().Field(i).Name, read})
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n.text = quoted(v)
			break
		}
		for i := range v.Len() {
			n.parts = append(n.parts, part{"", read(v.Index(i))})
		}
	case reflect.String:
		n.text = strconv.Quote(v.String())
	case reflect.Bool:
		n.text = strconv.FormatBool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.text = strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.text = strconv.FormatUint(v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		n.text = strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Func, reflect.Map, reflect.Chan, reflect.UnsafePointer:
		return nil // Made for evaluation; no tree of these parsers says anything in them.
	default:
		panic(fmt.Sprintf("a tree with a %s", v.Kind()))
	}
	return n
}

func isLeftOut(t reflect.Type) bool {
	if leftOut[t] {
		return true
	}
	name := strings.TrimPrefix(t.String(), "*")
	for _, out := range leftOutNames {
		if name == out {
			return true
		}
	}
	return false
}

func quoted(v reflect.Value) string {
	text := make([]byte, v.Len())
	for i := range text {
		text[i] = byte(v.Index(i).Uint())
	}
	return strconv.Quote(string(text))
}

// get follows the parts of those names; nil if there is none.
func (n *node) get(names ...string) *node {
	for _, name := range names {
		if n == nil {
			return nil
		}
		var found *node
		for _, p := range n.parts {
			if p.name == name {
				found = p.node
			}
		}
		n = found
	}
	return n
}

// set puts a part in the place of the one called name, or beside the others.
func (n *node) set(name string, to *node) {
	for i := range n.parts {
		if n.parts[i].name == name {
			n.parts[i].node = to
			return
		}
	}
	n.parts = append(n.parts, part{name, to})
}

// remove takes the part of that name away.
func (n *node) remove(name string) {
	n.parts = slices.DeleteFunc(n.parts, func(p part) bool { return p.name == name })
}

// walk visits n and what is below it, parents first.
func (n *node) walk(visit func(*node)) {
	if n == nil {
		return
	}
	visit(n)
	for _, p := range n.parts {
		p.node.walk(visit)
	}
}

func equal(a, b *node) bool { return a.String() == b.String() }

func (n *node) String() string {
	var out strings.Builder
	n.write(&out)
	return out.String()
}

func (n *node) write(out *strings.Builder) {
	if n == nil {
		out.WriteString("nil")
		return
	}
	out.WriteString(n.kind)
	if n.text != "" {
		out.WriteString(":" + n.text)
	}
	if len(n.parts) == 0 {
		return
	}
	out.WriteByte('(')
	for i, p := range n.parts {
		if i > 0 {
			out.WriteByte(' ')
		}
		if p.name != "" {
			out.WriteString(p.name + "=")
		}
		p.node.write(out)
	}
	out.WriteByte(')')
}
