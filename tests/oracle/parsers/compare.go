package main

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// difference says how two answers differ, or nothing. Series are sets, numbers equal to a relative
// tolerance of 1e-9: sums are added up in the order that series are stored in.
func difference(expected, got *promql.Result) string {
	switch {
	case (expected.Err == nil) != (got.Err == nil):
		return fmt.Sprintf("expected error %v, got %v", expected.Err, got.Err)
	case expected.Err != nil:
		return ""
	}
	a, b := samples(expected.Value), samples(got.Value)
	for series, points := range a {
		other, there := b[series]
		if !there {
			return "missing " + series
		}
		if len(points) != len(other) {
			return fmt.Sprintf("%s: expected %d points, got %d", series, len(points), len(other))
		}
		for i := range points {
			if why := points[i].differs(other[i]); why != "" {
				return series + ": " + why
			}
		}
	}
	for series := range b {
		if _, there := a[series]; !there {
			return "unexpected " + series
		}
	}
	return ""
}

// point is a sample at a time in milliseconds.
type point struct {
	at        int64
	value     float64
	histogram *histogram.FloatHistogram
}

func (p point) differs(other point) string {
	switch {
	case p.at != other.at:
		return fmt.Sprintf("expected a point at %d, got one at %d", p.at, other.at)
	case (p.histogram == nil) != (other.histogram == nil):
		return "a histogram and a number"
	case p.histogram != nil:
		if !sameHistogram(p.histogram, other.histogram) {
			return fmt.Sprintf("expected %s, got %s", p.histogram, other.histogram)
		}
	case !close(p.value, other.value):
		return fmt.Sprintf("expected %v, got %v", p.value, other.value)
	}
	return ""
}

// samples are the points of each series, by its labels; anything else is a series of its own.
func samples(value parser.Value) map[string][]point {
	read := map[string][]point{}
	switch value := value.(type) {
	case promql.Vector:
		for _, s := range value {
			key := s.Metric.String()
			read[key] = append(read[key], point{s.T, s.F, s.H})
		}
	case promql.Matrix:
		for _, s := range value {
			key := s.Metric.String()
			for _, p := range s.Floats {
				read[key] = append(read[key], point{p.T, p.F, nil})
			}
			for _, p := range s.Histograms {
				read[key] = append(read[key], point{p.T, 0, p.H})
			}
		}
	case promql.Scalar:
		read["scalar"] = []point{{value.T, value.V, nil}}
	default:
		read[value.String()] = nil
	}
	return read
}

func close(a, b float64) bool {
	if a == b || math.IsNaN(a) && math.IsNaN(b) {
		return true
	}
	return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b))
}

func sameHistogram(a, b *histogram.FloatHistogram) bool {
	if a.Schema != b.Schema || !close(a.Count, b.Count) || !close(a.Sum, b.Sum) || !close(a.ZeroCount, b.ZeroCount) {
		return false
	}
	left, right := a.AllBucketIterator(), b.AllBucketIterator()
	for left.Next() {
		if !right.Next() {
			return false
		}
		x, y := left.At(), right.At()
		if !close(x.Lower, y.Lower) || !close(x.Upper, y.Upper) || !close(x.Count, y.Count) {
			return false
		}
	}
	return !right.Next()
}
