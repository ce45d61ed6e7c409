package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
)

// evaluation is a query of a promqltest script, and when it is asked.
type evaluation struct {
	Query            string `json:"query"`
	Place            string `json:"place"`
	start, end, step time.Duration
	instant          bool
}

// outcome is what became of one evaluation.
type outcome struct {
	// Whether the scoped query on everyone's data answers as the original does on one tenant's alone.
	Same bool `json:"same"`
	// Whether the original on everyone's data answers otherwise: what scoping changed.
	Control bool   `json:"control"`
	Detail  string `json:"detail,omitempty"`
}

// twin asks for each of upstream's evaluations in turn how it is scoped, and evaluates. It writes an
// evaluation, reads `{"scoped": text or null}`, and writes an outcome unless that was null.
func twin() error {
	root := os.Getenv("PROMETHEUS_SOURCE")
	scripts, err := filepath.Glob(filepath.Join(root, "promql/promqltest/testdata/*.test"))
	if err != nil || len(scripts) == 0 {
		return fmt.Errorf("no scripts below PROMETHEUS_SOURCE: %v", err)
	}
	testing := &harness{}
	defer testing.cleanUp()
	ask := exchange{in: lines(os.Stdin), out: json.NewEncoder(os.Stdout)}
	engine := promqltest.NewTestEngine(testing, false, 0, promqltest.DefaultMaxSamplesPerQuery*2)
	for _, name := range scripts {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		run := twinRun{engine: engine, ask: &ask}
		if err := run.script(filepath.Base(name), string(text)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// exchange is the conversation with who scopes.
type exchange struct {
	in  *bufio.Scanner
	out *json.Encoder
}

func (x *exchange) scoped(e evaluation) (*string, error) {
	if err := x.out.Encode(e); err != nil {
		return nil, err
	}
	if !x.in.Scan() {
		return nil, fmt.Errorf("no answer: %v", x.in.Err())
	}
	var answer struct {
		Scoped *string `json:"scoped"`
	}
	err := json.Unmarshal(x.in.Bytes(), &answer)
	return answer.Scoped, err
}

// twinRun is one script being run.
type twinRun struct {
	engine *promql.Engine
	ask    *exchange
	// What was loaded since the last clear, and the databases made of it.
	loads      []string
	full, twin *teststorage.TestStorage
	data       *harness
}

func (r *twinRun) script(name, text string) error {
	defer r.drop()
	for _, step := range readScript(text) {
		switch {
		case step.clear:
			r.loads = nil
			r.drop()
		case step.load != "":
			r.loads = append(r.loads, step.load)
			r.drop()
		default:
			e := step.eval
			e.Place = fmt.Sprintf("%s:%d", name, step.line)
			if err := r.evaluate(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *twinRun) drop() {
	if r.data != nil {
		r.data.cleanUp()
		r.data = nil
	}
}

func (r *twinRun) open() {
	if r.data != nil {
		return
	}
	r.data = &harness{}
	r.full = promqltest.LoadedStorage(r.data, databaseOf(r.loads, everyone))
	r.twin = promqltest.LoadedStorage(r.data, databaseOf(r.loads, everyone[:1]))
}

func (r *twinRun) evaluate(e evaluation) error {
	scoped, err := r.ask.scoped(e)
	if err != nil || scoped == nil {
		return err
	}
	r.open()
	expected := r.query(r.twin, e, e.Query)
	result := r.query(r.full, e, *scoped)
	unscoped := r.query(r.full, e, e.Query)
	o := outcome{Control: difference(expected, unscoped) != "", Detail: difference(expected, result)}
	o.Same = o.Detail == ""
	return r.ask.out.Encode(o)
}

func (r *twinRun) query(data *teststorage.TestStorage, e evaluation, text string) *promql.Result {
	at := func(offset time.Duration) time.Time { return time.Unix(0, 0).UTC().Add(offset) }
	var query promql.Query
	var err error
	if e.instant {
		query, err = r.engine.NewInstantQuery(context.Background(), data, nil, text, at(e.start))
	} else {
		query, err = r.engine.NewRangeQuery(context.Background(), data, nil, text, at(e.start), at(e.end), e.step)
	}
	if err != nil {
		return &promql.Result{Err: err}
	}
	// Not closed: that would let other queries reuse what the result points to.
	return query.Exec(context.Background())
}
