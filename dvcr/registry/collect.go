package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/registry/auth"

	"slipway.dev/slipway/dvcr/gc"
)

// collectPath has the server collect garbage. Only the server knows what is being used, and only its caller what lives.
const collectPath = "/v2/_slipway/gc"

// maxLive bounds the list of live references: a million of them.
const maxLive = 256 << 20

type collectRequest struct {
	Live  []string      `json:"live"`
	Grace time.Duration `json:"grace,omitempty"`
}

type collectAnswer struct {
	Report gc.Report `json:"report"`
	Error  string    `json:"error,omitempty"`
}

// serveCollect collects for administrators, once at a time.
func (s *Server) serveCollect(w http.ResponseWriter, r *http.Request) {
	_, err := s.guard.Authorized(r, auth.Access{Resource: auth.Resource{Type: "registry", Name: "gc"}, Action: "*"})
	var c challenge
	if errors.As(err, &c) {
		c.SetHeaders(r, w)
		http.Error(w, c.Error(), http.StatusUnauthorized)
		return
	}
	var wanted collectRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLive)).Decode(&wanted); err != nil || r.Method != http.MethodPost || wanted.Live == nil {
		http.Error(w, "POST a list of live references collects garbage", http.StatusBadRequest)
		return
	}
	if !s.collecting.TryLock() {
		http.Error(w, "garbage is being collected already", http.StatusConflict)
		return
	}
	defer s.collecting.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush() // without it the client only waits longer
	var answer collectAnswer
	answer.Report, err = gc.Collect(r.Context(), gc.Options{
		Store: s.Inventory(), Grace: wanted.Grace, Clock: s.config.Clock, Repack: Repacker{s.own()},
		Live: func(context.Context) ([]string, error) { return wanted.Live, nil },
	})
	if err != nil {
		answer.Error = err.Error()
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that went away reads the log
}

// Collect has a DVCR free what nothing in live, a list of repository:tag, needs. Grace 0 means the default.
func (c *Client) Collect(ctx context.Context, live []string, grace time.Duration) (gc.Report, error) {
	if live == nil {
		live = []string{}
	}
	body, err := json.Marshal(collectRequest{Live: live, Grace: grace})
	if err != nil {
		return gc.Report{}, fmt.Errorf("collect garbage: %w", err)
	}
	scheme := "https"
	if c.plainHTTP {
		scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+c.addr+collectPath, bytes.NewReader(body))
	if err != nil {
		return gc.Report{}, fmt.Errorf("collect garbage: %w", err)
	}
	resp, err := c.auth.Do(req)
	if err != nil {
		return gc.Report{}, fmt.Errorf("collect garbage in %s: %w", c.addr, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return gc.Report{}, fmt.Errorf("collect garbage in %s: it answered %s", c.addr, resp.Status)
	}
	var answer collectAnswer
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return gc.Report{}, fmt.Errorf("collect garbage in %s: read answer: %w", c.addr, err)
	}
	if answer.Error != "" {
		return answer.Report, fmt.Errorf("collect garbage in %s: %s", c.addr, answer.Error) //nolint:err113 // the server's words
	}
	return answer.Report, nil
}
