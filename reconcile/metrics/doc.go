// Package metrics has the figures for the operator's dashboard, and takes them there
// without a port: to a statsd, and to a file for node_exporter's textfile collector.
//
// A figure is read from what the program knows anyway. Gauges are read when figures are
// gathered (State); what happens is counted when it is told (Heard, Resynced, Wrote). Both
// ways out gather from the same registry, each every some seconds on the one goroutine that
// it has, so neither can slow anything else, or the other.
//
// It stands below reconcile, and belongs to main, only because the top level is fixed:
// reconcile declares what it tells, and does not know this package.
package metrics
