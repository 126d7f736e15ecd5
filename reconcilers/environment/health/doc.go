// Package health judges objects by what Git wants of them.
//
// In come objects as the cluster has them and the time; out goes for each one of
// four states with a reason and a message, and the moment at which what does not
// move will be called degraded. The module kinds, KubeVirt and CDI have rules of
// their own; other kinds are judged as kstatus judges them.
//
// health is pure: it never talks to a cluster, never waits and never polls. A
// machine that Git wants stopped is healthy when it is stopped, an object that
// was just made is not healthy, an import that moves is not late, and one that
// stands still is.
package health
