// Command list prints the routes that a backend's program registers, read from its source.
//
//	go run list.go KIND FOLDER
//
// FOLDER is the backend's module. Each line is `METHODS PATH`: the methods with commas, or `ANY`, and the
// path, in which `{name}` stands for one segment and `*` at the end for any rest. A path that cannot be told
// from the source is an error: it must be named in `known`.
package main

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// source is a folder of a module whose files register routes below prefix.
type source struct{ folder, files, prefix string }

// sources tell where each backend registers its routes, and where the constants are that it uses there.
var sources = map[string]struct {
	routes    []source
	constants []string
}{
	"prometheus": {[]source{{"web", "web.go", ""}, {"web/api/v1", "api.go", "/api/v1"}}, []string{"web"}},
	"loki": {
		[]source{{"pkg/loki", "*.go", ""}, {"pkg/ui", "handler.go", ""}},
		[]string{"pkg/util/constants", "pkg/ui"},
	},
	"tempo": {[]source{{"cmd/tempo/app", "*.go", ""}}, []string{"pkg/api"}},
	"alertmanager": {
		[]source{{"ui", "web.go", ""}, {"httpserver", "httpserver.go", ""}, {"api", "v1*.go", "/api/v1"}},
		nil,
	},
}

// known are paths that the source computes, by the text that does.
var known = map[string][]string{
	// pkg/dataobj/explorer/service.go
	"path": {"/dataobj/*"},
	// pkg/compactor/compactor.go
	"prefix": {"/compactor/*"},
	// pkg/ui/handler.go
	"goldfishResultPath(cellA)": {"/ui/api/v1/goldfish/results/{id}/cell-a"},
	"goldfishResultPath(cellB)": {"/ui/api/v1/goldfish/results/{id}/cell-b"},
}

func main() {
	if len(os.Args) != 3 || sources[os.Args[1]].routes == nil {
		fail("usage: list KIND FOLDER")
	}
	kind, module := os.Args[1], os.Args[2]
	found := map[string]bool{}
	lister := &lister{values: map[string][]string{}, found: found}
	for _, folder := range sources[kind].constants {
		lister.constants(filepath.Join(module, folder))
	}
	for _, source := range sources[kind].routes {
		lister.constants(filepath.Join(module, source.folder))
	}
	for _, source := range sources[kind].routes {
		lister.prefix = source.prefix
		files, _ := filepath.Glob(filepath.Join(module, source.folder, source.files))
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				lister.routes(file)
			}
		}
	}
	if kind == "alertmanager" {
		described(filepath.Join(module, "api/v2/openapi.yaml"), "/api/v2", found)
	}
	var lines []string
	for line := range found {
		lines = append(lines, line)
	}
	sort.Slice(lines, func(a, b int) bool { return pathOf(lines[a])+lines[a] < pathOf(lines[b])+lines[b] })
	fmt.Println(strings.Join(lines, "\n"))
}

func pathOf(line string) string { return line[strings.Index(line, " ")+1:] }

func fail(format string, about ...any) {
	fmt.Fprintf(os.Stderr, "list: "+format+"\n", about...)
	os.Exit(1)
}

// lister collects routes.
type lister struct {
	// values are the strings that constants, and variables that are set once, stand for.
	values map[string][]string
	prefix string
	found  map[string]bool
	text   []byte
	files  *token.FileSet
}

func parse(file string) (*ast.File, *token.FileSet, []byte) {
	text, err := os.ReadFile(file)
	if err != nil {
		fail("%v", err)
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, text, 0)
	if err != nil {
		fail("%v", err)
	}
	return tree, files, text
}

// constants learns the strings declared in the files of folder.
func (l *lister) constants(folder string) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.go"))
	if len(files) == 0 {
		fail("no source in %s", folder)
	}
	// Twice, as some are made of others.
	for range 2 {
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, _, _ := parse(file)
			for _, declaration := range tree.Decls {
				declared, ok := declaration.(*ast.GenDecl)
				if !ok {
					continue
				}
				for _, spec := range declared.Specs {
					if value, ok := spec.(*ast.ValueSpec); ok {
						for i := range min(len(value.Names), len(value.Values)) {
							l.learn(value.Names[i].Name, value.Values[i])
						}
					}
				}
			}
		}
	}
}

func (l *lister) learn(name string, value ast.Expr) {
	if values, whole := l.strings(value); whole {
		l.values[name] = values
	}
}

// strings are what expr may be, and whether nothing of it is unknown; what is, is written as `{name}`.
func (l *lister) strings(expr ast.Expr) ([]string, bool) {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(expr.Value); err == nil && expr.Kind == token.STRING {
			return []string{text}, true
		}
	case *ast.Ident:
		if values, ok := l.values[expr.Name]; ok {
			return values, true
		}
		return []string{"{" + expr.Name + "}"}, false
	case *ast.SelectorExpr:
		return l.strings(expr.Sel)
	case *ast.CompositeLit:
		var all []string
		for _, element := range expr.Elts {
			values, whole := l.strings(element)
			if !whole {
				return nil, false
			}
			all = append(all, values...)
		}
		return all, len(all) > 0
	case *ast.BinaryExpr:
		if expr.Op == token.ADD {
			return l.joined(expr.X, expr.Y)
		}
	case *ast.CallExpr:
		switch name := called(expr); {
		case name == "addHTTPAPIPrefix" && len(expr.Args) == 2:
			return l.strings(expr.Args[1])
		case name == "Join" && len(expr.Args) == 2:
			return l.joined(expr.Args[0], expr.Args[1])
		}
	}
	return []string{"{}"}, false
}

func (l *lister) joined(left, right ast.Expr) ([]string, bool) {
	before, whole := l.strings(left)
	after, alsoWhole := l.strings(right)
	var all []string
	for _, a := range before {
		for _, b := range after {
			all = append(all, a+b)
		}
	}
	return all, whole && alsoWhole
}

func called(call *ast.CallExpr) string {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return function.Name
	case *ast.SelectorExpr:
		return function.Sel.Name
	}
	return ""
}

// routes finds the registrations of a file.
func (l *lister) routes(file string) {
	tree, files, text := parse(file)
	l.files, l.text = files, text
	inner := map[ast.Node]bool{}
	ast.Inspect(tree, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.AssignStmt:
			if len(node.Lhs) == len(node.Rhs) {
				for i, left := range node.Lhs {
					if name, ok := left.(*ast.Ident); ok && node.Tok == token.DEFINE {
						l.learn(name.Name, node.Rhs[i])
					} else if ok && node.Tok == token.ASSIGN {
						l.addTo(name.Name, node.Rhs[i])
					}
				}
			}
		case *ast.RangeStmt:
			if name, ok := node.Value.(*ast.Ident); ok {
				l.learn(name.Name, node.X)
			}
		case *ast.CallExpr:
			if !inner[node] {
				l.chain(node, inner)
			}
		}
		return true
	})
}

// addTo lets a variable stand for another string as well.
func (l *lister) addTo(name string, value ast.Expr) {
	if values, whole := l.strings(value); whole && l.values[name] != nil {
		l.values[name] = append(append([]string{}, l.values[name]...), values...)
	}
}

// Who is asked to register something.
var routers = regexp.MustCompile(`^(t\.Server\.HTTP|t\.Server\.HTTPRouter\(\)|router|s\.router|r)$`)

// Methods of Prometheus' router, which name the HTTP method themselves.
var named = map[string]string{
	"Get": "GET", "Post": "POST", "Put": "PUT", "Del": "DELETE", "Options": "OPTIONS", "Head": "HEAD",
}

// chain reads a call such as router.Path(…).Methods(…).Handler(…), of which call is the last.
func (l *lister) chain(call *ast.CallExpr, inner map[ast.Node]bool) {
	methods, path, rest := []string{}, ast.Expr(nil), ""
	var on ast.Expr
	for on = call; ; {
		link, ok := on.(*ast.CallExpr)
		if !ok || routers.MatchString(l.source(on)) {
			break
		}
		selected, ok := link.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		inner[link] = true
		switch name := selected.Sel.Name; {
		case name == "Methods":
			for _, method := range link.Args {
				methods = append(methods, l.method(method))
			}
		case (name == "Path" || name == "Handle" || name == "HandleFunc") && len(link.Args) > 0:
			path = link.Args[0]
		case name == "PathPrefix" && len(link.Args) > 0:
			path, rest = link.Args[0], "*"
		case named[name] != "" && len(link.Args) > 1:
			path, methods = link.Args[0], []string{named[name]}
		}
		on = selected.X
	}
	if path == nil || !routers.MatchString(l.source(on)) || l.source(path) == "t.Cfg.Server.PathPrefix" {
		return
	}
	l.add(methods, path, rest)
}

func (l *lister) add(methods []string, path ast.Expr, rest string) {
	paths, whole := known[l.source(path)]
	if !whole {
		paths, _ = l.strings(path)
	}
	sort.Strings(methods)
	if len(methods) == 0 {
		methods = []string{"ANY"}
	}
	for _, path := range paths {
		if strings.HasPrefix(path, "{") {
			fail("%s is not known", path)
		}
		path = regexp.MustCompile(`/\*\w+$`).ReplaceAllString(path, "/*")
		path = regexp.MustCompile(`:(\w+)`).ReplaceAllString(path, "{$1}")
		if rest != "" && !strings.HasSuffix(path, "*") {
			path = strings.TrimSuffix(path, "/") + "/*"
		}
		l.found[strings.Join(methods, ",")+" "+l.prefix+path] = true
	}
}

func (l *lister) method(expr ast.Expr) string {
	text := l.source(expr)
	return strings.ToUpper(strings.Trim(strings.TrimPrefix(text, "http.Method"), `"`))
}

func (l *lister) source(expr ast.Expr) string {
	from, to := l.files.Position(expr.Pos()).Offset, l.files.Position(expr.End()).Offset
	return strings.Join(strings.Fields(string(l.text[from:to])), " ")
}

// described reads the paths of an OpenAPI description: two spaces before a path, four before a method.
func described(file, prefix string, found map[string]bool) {
	text, err := os.Open(file)
	if err != nil {
		fail("%v", err)
	}
	defer text.Close()
	path, within := "", false
	for lines := bufio.NewScanner(text); lines.Scan(); {
		line := lines.Text()
		switch {
		case line != "" && line[0] != ' ' && line[0] != '#':
			within = line == "paths:"
		case within && strings.HasPrefix(line, "  /"):
			path = strings.TrimSuffix(strings.TrimSpace(line), ":")
		case within && regexp.MustCompile(`^    (get|post|put|delete|patch|head):`).MatchString(line):
			method := strings.ToUpper(strings.TrimSuffix(strings.TrimSpace(line), ":"))
			found[method+" "+prefix+path] = true
		}
	}
}
