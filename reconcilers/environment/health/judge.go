package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/plan"
)

// Judge judges objects together: what waits for another object of the set that
// is on its way is on its way too, however long that takes, and a disk waits for
// its first consumer only if there is one. Kinds that have rules are judged by
// them.
func Judge(objects []*unstructured.Unstructured, rules Rules, now time.Time) map[plan.Key]Health {
	j := judgement{
		verdicts:  make(map[plan.Key]Health, len(objects)),
		targets:   make(map[plan.Key][]plan.Key, len(objects)),
		consumers: map[plan.Key]bool{},
	}
	for _, u := range objects {
		key := plan.KeyOf(u)
		j.verdicts[key] = rules.of(u, now)
		j.targets[key] = plan.References(u)
		if key.Kind == "VirtualMachine" {
			j.consume(key)
		}
	}
	j.findConsumers()
	refined := make(map[plan.Key]Health, len(objects))
	for key, h := range j.verdicts {
		refined[key] = j.refine(key, h)
	}
	return refined
}

type judgement struct {
	verdicts  map[plan.Key]Health
	targets   map[plan.Key][]plan.Key
	consumers map[plan.Key]bool
}

func (j judgement) consume(machine plan.Key) {
	for _, target := range j.targets[machine] {
		j.consumers[target] = true
	}
}

// findConsumers corrects the verdict on disks that a machine of the set uses.
func (j judgement) findConsumers() {
	for key, h := range j.verdicts {
		if h.Reason == "WaitForFirstConsumer" && j.consumers[key] {
			j.verdicts[key] = progressing(h.Reason, "is made when the machine that uses it starts")
		}
	}
}

// refine takes back that something is late while what it waits for is on its way.
func (j judgement) refine(key plan.Key, h Health) Health {
	waits := h.Reason == ReasonDependency || h.Reason == ReasonStandsStill
	if h.State == Degraded && waits && j.reachesProgress(key, map[plan.Key]bool{}) {
		return progressing(h.Reason, h.Message)
	}
	return h
}

// reachesProgress tells whether an object refers, directly or through others, to
// one that is on its way.
func (j judgement) reachesProgress(key plan.Key, seen map[plan.Key]bool) bool {
	if seen[key] {
		return false
	}
	seen[key] = true
	for _, target := range j.targets[key] {
		if h, known := j.verdicts[target]; known && h.State == Progressing {
			return true
		}
		if j.reachesProgress(target, seen) {
			return true
		}
	}
	return false
}
