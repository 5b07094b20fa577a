// Command bench turns the output of Go's benchmarks, read from standard input, into the table of figures that
// `make bench` prints, and into bench.json. A benchmark reports a figure as a metric with the figure's name, and what a
// peer reached in the same run as NAME.baseline. What is no figure of the table is passed by.
//
// It must not know how anything is measured; and it reports, it does not judge: a missed target is no error.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Figure is one line of bench.json.
type Figure struct {
	Name     string   `json:"name"`
	Value    *float64 `json:"value"` // null where it could not be measured: the benchmark has said why
	Unit     string   `json:"unit"`
	Baseline *float64 `json:"baseline"` // a peer's figure of the same run, in the same unit
	Target   *float64 `json:"target"`
	OK       *bool    `json:"ok"`   // whether the target is met; null without one, and without a value
	Load     float64  `json:"load"` // load average of the host over a minute, when it was measured
}

func main() {
	file := flag.String("json", "bench.json", "where the figures are written")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, *file); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, file string) error {
	figures, broken, err := read(in, out)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return err
	}
	if err := table(out, figures); err != nil {
		return err
	}
	if broken {
		return errors.New("some benchmarks did not run, see above")
	}
	return nil
}

// read takes the figures from the output of `go test -bench`. What tells of trouble is passed on to out; broken says
// whether there was any.
func read(in io.Reader, out io.Writer) (figures []Figure, broken bool, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			if quiet(line) {
				continue
			}
			broken = broken || strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL")
			fmt.Fprintln(out, line)
			continue
		}
		metrics := make(map[string]float64)
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) != 2 {
				return nil, false, fmt.Errorf("not a line of a benchmark: %q", line)
			}
			metrics[pair[1]] = value
		}
		figures = append(figures, known(metrics)...)
	}
	return figures, broken, lines.Err()
}

// quiet tells whether a line of `go test` says nothing that a reader of the table wants to know.
func quiet(line string) bool {
	return line == "" || line == "PASS" || slices.ContainsFunc([]string{"goos: ", "goarch: ", "pkg: ", "cpu: ", "ok ", "ok\t", "?", "Benchmark"},
		func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

// known picks the figures among the metrics of one benchmark, in the order of the table of targets.
func known(metrics map[string]float64) []Figure {
	var found []Figure
	for _, t := range targets {
		value, ok := metrics[t.name]
		if !ok {
			continue
		}
		f := Figure{Name: t.name, Value: measured(value), Unit: t.unit, Target: t.most, Load: metrics["load"]}
		if t.least != nil {
			f.Target = t.least
		}
		if f.Target != nil && f.Value != nil {
			met := (t.most == nil || value <= *t.most) && (t.least == nil || value >= *t.least)
			f.OK = &met
		}
		if baseline, ok := metrics[t.name+".baseline"]; ok {
			f.Baseline = measured(baseline)
		}
		found = append(found, f)
	}
	return found
}

// measured gives a figure, nil for one that is no number: JSON has no such, and the reader is to see that there is none.
func measured(value float64) *float64 {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return nil
	}
	return &value
}

func table(out io.Writer, figures []Figure) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tVALUE\tUNIT\tBASELINE\tTARGET\tOK\tLOAD")
	for _, f := range figures {
		ok := ""
		if f.OK != nil {
			ok = map[bool]string{true: "yes", false: "no"}[*f.OK]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f\n", f.Name, number(f.Value), f.Unit, number(f.Baseline), number(f.Target), ok, f.Load)
	}
	return w.Flush()
}

func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', 4, 64)
}
