package importer_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/dvcr/importer"
)

// held serves a disk but waits in the middle of it.
func held(size int) *flaky {
	return &flaky{content: rawDisk(1, size), version: `"1"`, ranges: true, holdAt: size / 2, reached: make(chan struct{}), release: make(chan struct{})}
}

func TestFinishedJobIsFoundAgain(t *testing.T) {
	var requests atomic.Int32
	raw := rawDisk(1, mib)
	url := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = w.Write(raw)
	})
	reg := dvcr(t).Client()
	first := finishJob(t, newRunner(t, reg, loopback()), httpJob(url))
	second := finishJob(t, newRunner(t, reg, loopback()), httpJob(url))
	if first.Err != nil || second.Err != nil {
		t.Fatal(first.Err, second.Err)
	}
	if requests.Load() != 1 {
		t.Errorf("the source was asked %d times", requests.Load())
	}
	first.Result.AverageSpeed = 0
	if diff := cmp.Diff(first.Result, second.Result); diff != "" {
		t.Errorf("a later process reports (-first +later):\n%s", diff)
	}
}

func TestForgetEndsAJobAndRemovesItsDownload(t *testing.T) {
	f := held(2 * mib)
	o := loopback()
	o.Dir = t.TempDir()
	r := importer.NewRunner(dvcr(t).Client(), withClock(o))
	job := httpJob(listen(t, f.ServeHTTP))
	reached := f.reached
	r.Ensure(t.Context(), job)
	<-reached
	r.Forget(job.ID)
	r.Close()
	if list, err := os.ReadDir(o.Dir); err != nil || len(list) > 0 {
		t.Errorf("%v are left of a forgotten job (%v)", list, err)
	}
}

func withClock(o importer.Options) importer.Options {
	o.Clock = &testClock{}
	return o
}

func TestForgetRemovesWhatAnEarlierProcessLeft(t *testing.T) {
	f := held(2 * mib)
	o := withClock(loopback())
	o.Dir = t.TempDir()
	reg := dvcr(t).Client()
	job := httpJob(listen(t, f.ServeHTTP))
	killedAfter(t, f, reg, o, job)
	if len(leftovers(t, o.Dir)) == 0 {
		t.Fatal("the killed process left nothing")
	}
	r := importer.NewRunner(reg, o)
	r.Forget(job.ID)
	r.Close()
	if left := leftovers(t, o.Dir); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestOldDownloadsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{"old": 25 * time.Hour, "young": 23 * time.Hour} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	o := loopback()
	o.Dir = dir
	newRunner(t, dvcr(t).Client(), o)
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 || list[0].Name() != "young" {
		t.Errorf("%v are left, want the young one (%v)", list, err)
	}
}

func TestOtherSourceReplacesAJob(t *testing.T) {
	f := held(2 * mib)
	reg := dvcr(t).Client()
	r := newRunner(t, reg, loopback())
	job := httpJob(listen(t, f.ServeHTTP))
	reached := f.reached
	r.Ensure(t.Context(), job)
	<-reached
	raw := rawDisk(9, mib)
	other := httpJob(serve(t, raw))
	if s := finishJob(t, r, other); s.Err != nil {
		t.Fatal(s.Err)
	}
	same(t, stored(t, reg, other.Destination), raw)
}

func TestJobsWaitForASlot(t *testing.T) {
	f := held(2 * mib)
	o := loopback()
	o.Concurrency = 1
	r := newRunner(t, dvcr(t).Client(), o)
	first := httpJob(listen(t, f.ServeHTTP))
	reached := f.reached
	r.Ensure(t.Context(), first)
	<-reached
	second := httpJob(serve(t, rawDisk(2, mib)))
	second.ID, second.Destination = "two", "vi/team/other:v1"
	for range 3 {
		if s := r.Ensure(t.Context(), second); s.Phase != importer.Pending {
			t.Errorf("the second job is %s beside the first", s.Phase)
		}
	}
	close(f.release)
	if s := finishJob(t, r, second); s.Err != nil {
		t.Error(s.Err)
	}
	if s := finishJob(t, r, first); s.Err != nil {
		t.Error(s.Err)
	}
}

// TestSlowReceiver never reads an event; jobs go on.
func TestSlowReceiver(t *testing.T) {
	r := newRunner(t, dvcr(t).Client(), loopback())
	job := httpJob(serve(t, rawDisk(1, mib)))
	for {
		if s := r.Ensure(t.Context(), job); s.Phase == importer.Succeeded {
			return
		} else if s.Err != nil {
			t.Fatal(s.Err)
		}
	}
}

func TestProgressIsReportedAndNeverGoesBack(t *testing.T) {
	f := &flaky{content: rawDisk(1, 4*mib), version: `"1"`, ranges: true, perConn: mib}
	o := loopback()
	clock := &steppingClock{now: time.Unix(0, 0)}
	o.Clock = clock
	r := newRunner(t, dvcr(t).Client(), o)
	job := httpJob(listen(t, f.ServeHTTP))
	var last int64
	moved := 0
	for s := r.Ensure(t.Context(), job); s.Phase != importer.Succeeded; s = r.Ensure(t.Context(), job) {
		if s.Err != nil {
			t.Fatal(s.Err)
		}
		if s.Progress.Done < last || s.Progress.Done > 4*mib {
			t.Errorf("progress went from %d to %d", last, s.Progress.Done)
		}
		if s.Progress.Done > last {
			moved++
		}
		last = s.Progress.Done
		<-r.Events()
	}
	s := r.Ensure(t.Context(), job)
	if s.Progress.Done != 4*mib || s.Progress.Total != 4*mib || s.Result.AverageSpeed <= 0 {
		t.Errorf("ends with progress %+v and %d bytes per second", s.Progress, s.Result.AverageSpeed)
	}
}

// steppingClock moves on by a second each time someone looks.
type steppingClock struct {
	testClock
	now time.Time
	n   atomic.Int64
}

func (c *steppingClock) Now() time.Time { return c.now.Add(time.Duration(c.n.Add(1)) * time.Second) }

func (c *steppingClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func TestClosedRunnerSaysSo(t *testing.T) {
	r := importer.NewRunner(dvcr(t).Client(), withClock(importer.Options{Dir: t.TempDir()}))
	r.Close()
	if s := r.Ensure(t.Context(), httpJob("http://example.com/")); s.Phase != importer.Failed || s.Err == nil {
		t.Errorf("a closed runner answers %+v", s)
	}
	if _, open := <-r.Events(); open {
		t.Error("a closed runner sends events")
	}
}

func TestBadDestination(t *testing.T) {
	for _, destination := range []string{"", "vi/x", ":v1", "vi/x:", "VI/X:v1"} {
		job := httpJob(serve(t, rawDisk(1, mib)))
		job.Destination = destination
		s := finishJob(t, newRunner(t, dvcr(t).Client(), loopback()), job)
		if !errors.Is(s.Err, importer.ErrInvalidSource) {
			t.Errorf("destination %q fails with %v", destination, s.Err)
		}
	}
}

func TestJobWithoutSource(t *testing.T) {
	job := httpJob("http://x")
	job.Source.HTTP = nil
	if s := finishJob(t, newRunner(t, dvcr(t).Client(), loopback()), job); !errors.Is(s.Err, importer.ErrInvalidSource) {
		t.Errorf("fails with %v", s.Err)
	}
}

// TestNewVersionSharesFrames imports a second version under another tag of the same repository.
func TestNewVersionSharesFrames(t *testing.T) {
	v1 := rawDisk(1, 8*mib)
	v2 := append(append(v1[:mib:mib], rawDisk(5, 64<<10)...), v1[mib:]...)
	server := dvcr(t)
	r := newRunner(t, server.Client(), loopback())
	first := httpJob(serve(t, v1))
	if s := finishJob(t, r, first); s.Err != nil {
		t.Fatal(s.Err)
	}
	second := httpJob(serve(t, v2))
	second.ID, second.Destination = "two", "vi/team/debian:v2"
	s := finishJob(t, r, second)
	if s.Err != nil {
		t.Fatal(s.Err)
	}
	repo, err := server.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	shared, fresh := packSizes(t, repo, "v1", "v2")
	if shared == 0 || fresh > shared/4 {
		t.Errorf("the second version stores %d bytes of its own and shares %d", fresh, shared)
	}
	same(t, stored(t, server.Client(), second.Destination), v2)
}
