// Package census counts the objects of a kind as Prometheus metrics, under the
// names that DVP gives them.
//
// In come a reader, which should be a cache, and what a kind tells of one object;
// out goes a collector that looks at all objects when it is asked. It keeps
// nothing between two questions, so an object that is gone is gone from the
// metrics.
package census
