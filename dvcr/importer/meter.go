package importer

import (
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// reportEvery is the shortest time between two reports of progress.
const reportEvery = time.Second

// meter turns what the stages of an import count into the progress that is shown. Done never goes back, also not when
// a download begins anew.
type meter struct {
	clock  clock.PassiveClock
	report func()

	mu        sync.Mutex
	progress  Progress
	split     bool  // the image is pushed only after all of it was downloaded
	have      int64 // bytes in the file
	started   time.Time
	startedAt int64 // bytes that an earlier process downloaded
	ended     time.Time
	last      time.Time
	lastHave  int64
}

// newMeter returns a meter that calls report when there is progress to show.
func newMeter(c clock.PassiveClock, report func()) *meter {
	return &meter{clock: c, report: report}
}

// begin says that a download goes on from byte have of a source of size bytes, or -1.
func (m *meter) begin(have, size int64) {
	m.update(func() {
		if m.started.IsZero() {
			m.started, m.last = m.clock.Now(), m.clock.Now()
			m.startedAt, m.lastHave = have, have
		}
		m.have = have
		m.progress.Total = max(0, size)
	})
}

// downloaded says how many bytes are in the file.
func (m *meter) downloaded(have int64) {
	m.update(func() {
		m.have, m.ended = have, m.clock.Now()
		if m.split {
			m.advance(have / 2)
		}
	})
}

// consumed says how many bytes of the source were read from the file.
func (m *meter) consumed(n int64) {
	m.update(func() {
		if !m.split {
			m.advance(n)
		}
	})
}

// inTwoSteps says that the push begins when the download is complete: each counts for half.
func (m *meter) inTwoSteps() {
	m.update(func() { m.split = true })
}

// pushed says which share of the disk was pushed; it counts only for imports in two steps.
func (m *meter) pushed(share float64) {
	m.update(func() {
		if m.split {
			m.advance(m.have/2 + int64(float64(m.have-m.have/2)*min(1, share)))
		}
	})
}

func (m *meter) advance(done int64) { m.progress.Done = max(m.progress.Done, done) }

// update changes the meter and reports, unless it did so just now. It reports without the lock: who is told may ask.
func (m *meter) update(change func()) {
	m.mu.Lock()
	change()
	passed := m.clock.Since(m.last)
	due := passed >= reportEvery
	if due {
		m.progress.BytesPerSecond = int64(float64(max(0, m.have-m.lastHave)) / passed.Seconds())
		m.last, m.lastHave = m.clock.Now(), m.have
	}
	m.mu.Unlock()
	if due {
		m.report()
	}
}

// current returns the progress as of now.
func (m *meter) current() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.progress
}

// average returns how fast this process downloaded, in bytes per second.
func (m *meter) average() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	passed := m.ended.Sub(m.started)
	if passed <= 0 {
		return 0
	}
	return int64(float64(m.have-m.startedAt) / passed.Seconds())
}
