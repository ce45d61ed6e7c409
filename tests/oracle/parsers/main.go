// Command oracle answers what the parsers of Prometheus, Loki and Tempo make of query texts.
//
//	oracle judge           reads one JSON case a line (case), writes one verdict a line (verdict)
//	oracle extract         writes the query strings of the modules' own tests, one JSON object a line
//	oracle twin            evaluates upstream's promqltest files on two tenants' data (twin.go)
//
// The last two find the modules' sources by the environment variables PROMETHEUS_SOURCE, LOKI_SOURCE
// and TEMPO_SOURCE.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
)

func main() {
	mode := ""
	if len(os.Args) == 2 {
		mode = os.Args[1]
	}
	var err error
	switch mode {
	case "judge":
		err = judgeAll()
	case "extract":
		err = extract()
	case "twin":
		err = twin()
	default:
		err = fmt.Errorf("usage: oracle judge|extract|twin")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// Lines are judged in parallel, this many at a time, and answered in order.
const batch = 1024

func judgeAll() error {
	in := lines(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for more := true; more; {
		var asked [][]byte
		for len(asked) < batch {
			if more = in.Scan(); !more {
				break
			}
			asked = append(asked, []byte(in.Text()))
		}
		answers := make([][]byte, len(asked))
		var workers sync.WaitGroup
		for worker := range runtime.GOMAXPROCS(0) {
			workers.Go(func() {
				for i := worker; i < len(asked); i += runtime.GOMAXPROCS(0) {
					answers[i] = answer(asked[i])
				}
			})
		}
		workers.Wait()
		for _, answer := range answers {
			out.Write(answer)
			out.WriteByte('\n')
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return in.Err()
}

func answer(line []byte) []byte {
	var c textCase
	verdict := verdict{}
	if err := json.Unmarshal(line, &c); err != nil {
		verdict.Error = "not a case: " + err.Error()
	} else {
		verdict = judge(c)
	}
	answer, err := json.Marshal(verdict)
	if err != nil {
		panic(err)
	}
	return answer
}

func lines(file *os.File) *bufio.Scanner {
	in := bufio.NewScanner(file)
	in.Buffer(make([]byte, 1<<20), 1<<26)
	return in
}
