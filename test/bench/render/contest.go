package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"time"
)

// sample is what one turn took, in milliseconds for one render.
type sample struct {
	cpu, wall, waited float64
}

// contest lets all contestants take turns, in every other round the other way round: who comes after whom does not matter.
func contest(list []contestant, n, rounds int) ([]figure, error) {
	samples := map[string][]sample{}
	turns := slices.Clone(list)
	for round := range rounds + 1 {
		slices.Reverse(turns)
		for _, c := range turns {
			s, err := c.turn()
			if err != nil {
				return nil, fmt.Errorf("%s, %d pairs: %w", c.name, n, err)
			}
			if round > 0 { // the first one loads what is loaded once
				samples[c.name] = append(samples[c.name], s)
			}
		}
	}
	figures := make([]figure, len(list))
	for i, c := range list {
		own := samples[c.name]
		figures[i] = figure{
			Name: c.name, Pairs: n, Target: c.target, To: c.to,
			CPU:    median(own, func(_ int, s sample) float64 { return s.cpu }),
			Wall:   median(own, func(_ int, s sample) float64 { return s.wall }),
			Waited: median(own, func(_ int, s sample) float64 { return s.waited }),
			Ratio:  c.ratio(own, samples[c.to]),
		}
	}
	return figures, nil
}

// ratio compares the turns of two contestants; 0 when there is nothing to compare with.
func (c contestant) ratio(own, other []sample) float64 {
	if len(other) == 0 {
		return 0
	}
	return median(own, func(i int, s sample) float64 {
		if len(c.jobs) > 1 {
			return s.wall / other[i].wall
		}
		return s.cpu / other[i].cpu
	})
}

func median(samples []sample, value func(i int, s sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = value(i, s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// turn runs the jobs on as many cores as there are jobs, so that one alone shares its core with its garbage collection.
func (c contestant) turn() (sample, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(len(c.jobs)))
	runtime.GC()
	cpu, wait, start := used(), waited(), time.Now()
	errs := make([]error, len(c.jobs))
	var wg sync.WaitGroup
	for i, j := range c.jobs {
		wg.Go(func() {
			for range c.batch {
				errs[i] = errors.Join(errs[i], j())
			}
		})
	}
	wg.Wait()
	per := func(d time.Duration) float64 {
		return float64(d) / float64(time.Millisecond) / float64(len(c.jobs)*c.batch)
	}
	return sample{cpu: per(used() - cpu), wall: per(time.Since(start)), waited: per(waited() - wait)}, errors.Join(errs...)
}

// used is the CPU time of the process so far.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// waited is how long goroutines have waited for locks so far, all together.
func waited() time.Duration {
	sample := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample)
	return time.Duration(sample[0].Value.Float64() * float64(time.Second))
}
