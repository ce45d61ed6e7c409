package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// step is one command of a promqltest script (its grammar: promql/promqltest/test.go).
type step struct {
	line  int
	clear bool
	load  string
	eval  evaluation
}

var (
	instantEvaluation = regexp.MustCompile(`^eval(?:_(?:fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+))?\s+(.+)$`)
	rangeEvaluation   = regexp.MustCompile(
		`^eval(?:_(?:fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(\S+)\s+(.+)$`)
)

func readEvaluation(line string) (e evaluation, is bool) {
	line = strings.TrimSpace(line)
	duration := func(text string) time.Duration {
		negative := strings.HasPrefix(text, "-")
		d, err := model.ParseDuration(strings.TrimPrefix(text, "-"))
		is = is && err == nil
		if negative {
			d = -d
		}
		return time.Duration(d)
	}
	if found := instantEvaluation.FindStringSubmatch(line); found != nil {
		is = true
		return evaluation{Query: found[2], instant: true, start: duration(found[1])}, is
	}
	if found := rangeEvaluation.FindStringSubmatch(line); found != nil {
		is = true
		from, to, step := duration(found[1]), duration(found[2]), duration(found[3])
		return evaluation{Query: found[4], start: from, end: to, step: step}, is
	}
	return evaluation{}, false
}

// readScript finds the commands; what an evaluation expects is of no interest here.
func readScript(text string) (steps []step) {
	all := strings.Split(text, "\n")
	for i, line := range all {
		if all[i] = strings.TrimSpace(line); strings.HasPrefix(all[i], "#") {
			all[i] = ""
		}
	}
	for i := 0; i < len(all); i++ {
		line, at := all[i], i+1
		block := []string{line}
		if line == "clear" {
			steps = append(steps, step{line: at, clear: true})
			continue
		}
		for i+1 < len(all) && all[i+1] != "" && line != "" {
			i++
			block = append(block, all[i])
		}
		if strings.HasPrefix(line, "load") {
			steps = append(steps, step{line: at, load: strings.Join(block, "\n")})
		} else if e, is := readEvaluation(line); is {
			steps = append(steps, step{line: at, eval: e})
		}
	}
	return steps
}

// owner is whose copy of the data it is, and what is added to its values. The scope is the first.
type owner struct {
	tenant string
	more   float64
}

// Nobody's data is there, too: series without the label.
var everyone = []owner{{"acme", 0}, {"globex", 7}, {"", 13}}

// databaseOf is the script that loads each series once for each owner, in one block, so that all are
// appended as upstream's are.
func databaseOf(loads []string, owners []owner) string {
	var out strings.Builder
	for _, load := range loads {
		series := strings.Split(load, "\n")
		out.WriteString(series[0] + "\n")
		for i, line := range series[1:] {
			// A line of start timestamps must stand before its series.
			if i > 0 && isStart(series[i]) {
				continue
			}
			for _, o := range owners {
				out.WriteString("  " + o.own(line) + "\n")
				if isStart(line) && i+2 < len(series) {
					out.WriteString("  " + o.own(series[i+2]) + "\n")
				}
			}
		}
		out.WriteString("\n")
	}
	return out.String()
}

func isStart(line string) bool {
	metric, _, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	return strings.HasSuffix(metric, "@st")
}

// own is a series with the owner's label and values.
func (o owner) own(line string) string {
	metric, values := splitSeries(line)
	if o.tenant != "" {
		label := fmt.Sprintf("tenant=%q", o.tenant)
		start := ""
		if strings.HasSuffix(metric, "@st") {
			metric, start = strings.TrimSuffix(metric, "@st"), "@st"
		}
		if brace := strings.IndexByte(metric, '{'); brace < 0 {
			metric += "{" + label + "}"
		} else if rest := strings.TrimSpace(metric[brace+1:]); rest == "}" {
			metric = metric[:brace+1] + label + rest
		} else {
			metric = metric[:brace+1] + label + "," + metric[brace+1:]
		}
		metric += start
	}
	if isStart(line) {
		return metric + " " + values
	}
	return metric + " " + o.valued(values)
}

var (
	leadingNumber = regexp.MustCompile(`^-?\d+(\.\d+)?`)
	histogramSum  = regexp.MustCompile(`sum:-?\d+(\.\d+)?`)
)

// valued adds to each number that begins a value, unless it has an exponent, and to the sums of
// histograms.
func (o owner) valued(values string) string {
	if o.more == 0 {
		return values
	}
	add := func(number string) string {
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return number
		}
		return strconv.FormatFloat(value+o.more, 'f', -1, 64)
	}
	if strings.Contains(values, "{{") {
		return histogramSum.ReplaceAllStringFunc(values, func(sum string) string {
			return "sum:" + add(strings.TrimPrefix(sum, "sum:"))
		})
	}
	fields := strings.Fields(values)
	for i, field := range fields {
		if !strings.ContainsAny(field, "eE") {
			fields[i] = leadingNumber.ReplaceAllStringFunc(field, add)
		}
	}
	return strings.Join(fields, " ")
}

// splitSeries parts a series from its values.
func splitSeries(line string) (metric, values string) {
	var quote rune
	depth, escaped := 0, false
	for i, c := range line {
		switch {
		case escaped:
			escaped = false
		case quote != 0:
			escaped = c == '\\' && quote != '`'
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			depth--
		case (c == ' ' || c == '\t') && depth == 0:
			rest := strings.TrimSpace(line[i:])
			if strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, "{{") && !strings.Contains(line[:i], "{") {
				continue // `name {a="b"} 1`
			}
			return line[:i], rest
		}
	}
	return line, ""
}

// harness stands for a running test, which upstream's helpers ask for.
type harness struct {
	testing.TB
	cleanups []func()
}

func (*harness) Helper()            {}
func (h *harness) Cleanup(f func()) { h.cleanups = append(h.cleanups, f) }
func (*harness) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (*harness) FailNow()     { panic("a step of the harness failed") }
func (*harness) Name() string { return "twin" }

func (h *harness) cleanUp() {
	for i := len(h.cleanups) - 1; i >= 0; i-- {
		h.cleanups[i]()
	}
	h.cleanups = nil
}
