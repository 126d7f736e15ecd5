package upload

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// ErrRestart says that the user sends the file from its beginning, although a part of it is here: give that up, and ask for
// the content from offset 0.
var ErrRestart = errors.New("the upload begins anew")

// ErrClosed says that the slot takes no more.
var ErrClosed = errors.New("the upload has ended")

// Slot is the place for one upload.
type Slot struct {
	server *Server
	token  string
	limit  int64
	offers chan offer
	ended  chan struct{}
	busy   chan struct{} // holds the request that is received

	mu     sync.Mutex
	have   int64 // bytes that the owner has
	total  int64 // of the file, or -1
	result error // why it ended
	over   bool
}

// offer says from where on the owner wants the content.
type offer struct {
	have  int64
	reply chan reply
}

// reply gives a body, or an error, or neither: then the offer stands.
type reply struct {
	body *Body
	err  error
}

// Next waits for a request that goes on at offset have, and returns its body. It fails with ErrRestart when a user begins anew
// while have is not 0, with ErrClosed when the slot is closed, and with the context's error.
func (s *Slot) Next(ctx context.Context, have int64) (*Body, error) {
	s.note(have)
	o := offer{have: have, reply: make(chan reply, 1)}
	for {
		select {
		case s.offers <- o:
		case <-s.ended:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // as it is
		}
		if r := <-o.reply; r.body != nil || r.err != nil {
			if r.body != nil {
				r.body.stop = context.AfterFunc(ctx, r.body.abort)
			}
			return r.body, r.err
		}
	}
}

// Close ends the slot. A request that waits for its answer is told the error, which is nil when the image was imported.
func (s *Slot) Close(err error) {
	s.server.drop(s)
	s.end(err)
}

func (s *Slot) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.over, s.result = true, err
		close(s.ended)
	}
}

func (s *Slot) outcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.result
}

func (s *Slot) note(have int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have = have
	if have == 0 {
		s.total = -1
	}
}

func (s *Slot) arrived(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.have += int64(n)
}

func (s *Slot) progress() (have, total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.have, s.total
}

func (s *Slot) declare(total int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = total
}

// tell answers how much is here.
func (s *Slot) tell(w http.ResponseWriter) {
	have, total := s.offset(w)
	switch {
	case have == 0:
		answer(w, http.StatusOK, "send the file with \"curl -T FILE URL\"")
	case total > 0:
		answer(w, http.StatusOK, fmt.Sprintf("%d of %d bytes are here; send the rest with \"curl -T FILE -C %d URL\"", have, total, have))
	default:
		answer(w, http.StatusOK, fmt.Sprintf("%d bytes are here; send the rest with \"curl -T FILE -C %d URL\"", have, have))
	}
}

func (s *Slot) offset(w http.ResponseWriter) (have, total int64) {
	have, total = s.progress()
	w.Header().Set("Upload-Offset", strconv.FormatInt(have, 10))
	if total >= 0 {
		w.Header().Set("Upload-Length", strconv.FormatInt(total, 10))
	}
	return have, total
}

// receive hands a request's bytes to the owner of the slot and answers.
func (s *Slot) receive(w http.ResponseWriter, r *http.Request) {
	in, err := parse(r)
	if err == nil {
		err = s.admit(in)
	}
	if err == nil {
		err = in.begin()
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	body, err := s.deliver(r.Context(), in, http.NewResponseController(w))
	if err != nil {
		s.refuse(w, err)
		return
	}
	<-body.closed
	s.report(r.Context(), w, in, body)
}

// refusal is an answer to a request that is not received.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return &refusal{code: code, text: fmt.Sprintf(format, args...)}
}

func (s *Slot) refuse(w http.ResponseWriter, err error) {
	have, _ := s.offset(w)
	var r *refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, context.Canceled):
		w.Header().Set("Retry-After", "5")
		r = &refusal{http.StatusServiceUnavailable, "the import was interrupted; go on with the upload when it runs again"}
	default:
		r = &refusal{http.StatusUnprocessableEntity, err.Error()}
	}
	if r.code == http.StatusRequestedRangeNotSatisfiable {
		w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(have, 10))
	}
	answer(w, r.code, r.text)
}

// admit checks what a request declares.
func (s *Slot) admit(in *incoming) error {
	if in.total == 0 {
		return refuse(http.StatusBadRequest, "the file is empty")
	}
	if s.limit > 0 && max(in.total, in.first) > s.limit {
		return refuse(http.StatusRequestEntityTooLarge, "the file has %d bytes, the limit is %d", in.total, s.limit)
	}
	return nil
}

// deliver waits until the owner wants content, and gives it the request's body if that goes on where the owner is.
func (s *Slot) deliver(ctx context.Context, in *incoming, rc *http.ResponseController) (*Body, error) {
	for {
		var o offer
		select {
		case o = <-s.offers:
		case <-s.ended:
			return nil, s.gone()
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // nobody is there to read it
		}
		_, total := s.progress()
		switch {
		case in.first == 0 && o.have > 0:
			o.reply <- reply{err: ErrRestart}
			continue
		case in.first != o.have:
			o.reply <- reply{}
			return nil, refuse(http.StatusRequestedRangeNotSatisfiable, "%d bytes are here, the request goes on at %d", o.have, in.first)
		case in.first > 0 && total >= 0 && in.total != total:
			o.reply <- reply{}
			return nil, refuse(http.StatusRequestedRangeNotSatisfiable, "the file has %d bytes, the request says %d", total, in.total)
		}
		s.declare(in.total)
		b := &Body{Size: in.total, slot: s, from: in.body, rc: rc, idle: s.server.options.Idle, closed: make(chan struct{})}
		o.reply <- reply{body: b}
		return b, nil
	}
}

func (s *Slot) gone() error {
	if err := s.outcome(); err != nil {
		return err
	}
	return refuse(http.StatusNotFound, "no upload is expected here any more")
}

// report answers a request whose body was taken, or given up.
func (s *Slot) report(ctx context.Context, w http.ResponseWriter, in *incoming, b *Body) {
	have, _ := s.progress()
	eof, broken := b.ending()
	if broken {
		return // nobody is there, and the next request shall not wait
	}
	if eof && in.total >= 0 && have < in.total {
		s.offset(w)
		answer(w, http.StatusAccepted, fmt.Sprintf("%d of %d bytes are here", have, in.total))
		return
	}
	if !eof { // given up by the owner, whose deadline may have ended the context while the user waits
		ctx = context.WithoutCancel(ctx)
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		return
	case <-s.server.options.Clock.After(s.server.options.Settle):
		s.offset(w)
		answer(w, http.StatusAccepted, "the file is here, its import goes on")
		return
	}
	if err := s.outcome(); err != nil {
		s.refuse(w, err)
		return
	}
	answer(w, http.StatusCreated, "the image is imported")
}
