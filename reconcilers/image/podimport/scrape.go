package podimport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/dvcr/importer"
)

// maxMetrics bounds what a pod may answer.
const maxMetrics = 64 << 10

// scraper reads the metrics of importer pods.
type scraper struct{ client *http.Client }

func newScraper() *scraper {
	return &scraper{client: &http.Client{Timeout: 2 * time.Second}}
}

// errNoAddress says that a pod has none yet.
var errNoAddress = errors.New("the pod has no address yet")

func (s *scraper) scrape(ctx context.Context, pod *corev1.Pod) (importer.Progress, error) {
	if pod.Status.PodIP == "" {
		return importer.Progress{}, errNoAddress
	}
	url := "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)) + "/metrics"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return importer.Progress{}, fmt.Errorf("ask pod %s for its progress: %w", pod.Name, err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return importer.Progress{}, fmt.Errorf("ask pod %s for its progress: %w", pod.Name, err)
	}
	defer resp.Body.Close()
	return parseProgress(io.LimitReader(resp.Body, maxMetrics)), nil
}

// parseProgress reads the numbers it knows from metrics in text form, and passes over all else.
func parseProgress(r io.Reader) importer.Progress {
	var p importer.Progress
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		number, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil || !(number >= 0 && number < 1<<62) {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		switch name {
		case "registry_done_bytes":
			p.Done = int64(number)
		case "registry_total_bytes":
			p.Total = int64(number)
		case "registry_current_speed":
			p.BytesPerSecond = int64(number)
		}
	}
	return p
}
