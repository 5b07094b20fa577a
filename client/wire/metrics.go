package wire

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the figures of one process for Prometheus: the Go runtime, the process, the requests of the APIs that have
// it in their Options, and what the component adds. Labels have values of a small set only, never a user's text.
type Metrics struct {
	collectors []prometheus.Collector
	sources    []source
	requests   *prometheus.CounterVec
	durations  *prometheus.HistogramVec
}

// NewMetrics makes the metrics of a process that runs this version of its program.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "conpaas_http_requests_total", Help: "Requests that have been answered, by route and status.",
		}, []string{"route", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "conpaas_http_request_duration_seconds", Help: "Time from the header of a request to the end of its answer, by route; streams count when they end.",
			Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"route"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "conpaas_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.collectors = []prometheus.Collector{
		m.requests, m.durations, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	return m
}

// Figure is one value of a family, with the values of the family's labels in their order.
type Figure struct {
	Labels []string
	Value  float64
}

// Family is a set of figures of one meaning that are read when somebody asks for the metrics.
type Family struct {
	Name   string // conpaas_…, with its unit at the end, and _total where it only grows
	Help   string
	Labels []string
	Grows  bool // a counter; false: a gauge
}

// Add adds families whose figures read gives: a list for each, in their order. An error of read is the answer to who asks.
// All families are added before the metrics are served.
func (m *Metrics) Add(read func(context.Context) ([][]Figure, error), families ...Family) {
	m.sources = append(m.sources, source{read, families})
}

// source is where the figures of some families come from.
type source struct {
	read     func(context.Context) ([][]Figure, error)
	families []Family
}

// reading is the collector of what a source has given.
type reading struct {
	families []Family
	lists    [][]Figure
}

// Describe says nothing, so that the registry checks what is collected.
func (reading) Describe(chan<- *prometheus.Desc) {}

// Collect gives the figures.
func (r reading) Collect(to chan<- prometheus.Metric) {
	for i, list := range r.lists {
		family := r.families[i]
		kind := prometheus.GaugeValue
		if family.Grows {
			kind = prometheus.CounterValue
		}
		about := prometheus.NewDesc(family.Name, family.Help, family.Labels, nil)
		for _, v := range list {
			to <- prometheus.MustNewConstMetric(about, kind, v.Value, v.Labels...)
		}
	}
}

// Serve answers with the metrics in Prometheus' text format, each with these labels beside its own.
func (m *Metrics) Serve(w http.ResponseWriter, r *http.Request, labels map[string]string) error {
	all := slices.Clone(m.collectors)
	for _, s := range m.sources {
		lists, err := s.read(r.Context())
		if err != nil {
			return err
		}
		all = append(all, reading{s.families, lists})
	}
	registry := prometheus.NewRegistry()
	labelled := prometheus.WrapRegistererWith(labels, registry)
	for _, c := range all {
		if err := labelled.Register(c); err != nil {
			return err
		}
	}
	r = r.Clone(r.Context())
	r.Header.Del("Accept") // text, whatever else would be understood
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}

// count notes an answered request. Requests that no route has taken are those of route "none".
func (m *Metrics) count(route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.durations.WithLabelValues(route).Observe(took.Seconds())
}
