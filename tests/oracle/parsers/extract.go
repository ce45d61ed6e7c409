package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// source is where one language's queries are in its backend's module.
type source struct {
	lang, root string
	// Folders whose *_test.go files have queries as string literals, and folders below which files
	// with an ending have them.
	tests []string
	files map[string]string
}

var sources = []source{
	{"promql", "PROMETHEUS_SOURCE", []string{"promql", "promql/parser", "promql/promqltest", "web/api/v1",
		"rules", "cmd/promtool"}, map[string]string{"promql": ".test", "cmd/promtool": ".yml"}},
	{"logql", "LOKI_SOURCE", []string{"pkg/logql", "pkg/logql/syntax", "pkg/logql/bench"}, nil},
	{"traceql", "TEMPO_SOURCE", []string{"pkg/traceql", "pkg/api", "modules/frontend", "modules/frontend/combiner",
		"modules/querier", "tempodb", "tempodb/encoding/vparquet4", "integration/e2e"},
		map[string]string{"pkg/traceql": ".yaml"}},
}

// Longer strings are no queries.
const longest = 60_000

// extract writes every string that may be a query: not all are, and the parsers say which.
func extract() error {
	out := bufio.NewWriter(os.Stdout)
	for _, s := range sources {
		root := os.Getenv(s.root)
		if root == "" {
			return fmt.Errorf("%s is not set", s.root)
		}
		seen := map[string]bool{}
		found := func(text string) {
			if text = strings.TrimSpace(text); text == "" || seen[text] || len(text) > longest {
				return
			}
			seen[text] = true
			line, err := json.Marshal(map[string]string{"lang": s.lang, "query": text})
			if err != nil {
				panic(err)
			}
			out.Write(append(line, '\n'))
		}
		for _, folder := range s.tests {
			if err := literals(filepath.Join(root, folder), found); err != nil {
				return err
			}
		}
		for folder, ending := range s.files {
			if err := dataFiles(filepath.Join(root, folder), ending, found); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// literals finds the string literals of a folder's test files.
func literals(folder string, found func(string)) error {
	names, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if _, is := n.(*ast.ImportSpec); is {
				return false
			}
			if literal, is := n.(*ast.BasicLit); is && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					found(text)
					evaluations(text, found)
				}
			}
			return true
		})
	}
	return nil
}

// dataFiles finds the queries of promqltest scripts and of YAML lists.
func dataFiles(folder, ending string, found func(string)) error {
	return filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ending) {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if ending == ".test" {
			evaluations(string(text), found)
			return nil
		}
		for _, line := range strings.Split(string(text), "\n") {
			if item, is := strings.CutPrefix(strings.TrimSpace(line), "- '"); is {
				if end := strings.LastIndexByte(item, '\''); end >= 0 {
					found(strings.ReplaceAll(item[:end], "''", "'"))
				}
			} else if value, is := strings.CutPrefix(strings.TrimSpace(line), "expr: "); is {
				found(strings.Trim(value, "'\""))
			}
		}
		return nil
	})
}

// evaluations finds the queries of a promqltest script.
func evaluations(script string, found func(string)) {
	for _, line := range strings.Split(script, "\n") {
		if e, is := readEvaluation(line); is {
			found(e.Query)
		}
	}
}
