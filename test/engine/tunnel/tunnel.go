// Package tunnel leads connections from the host into the engine's network and to nothing else.
//
// In come listeners that were opened outside, and out go connections made inside: HTTP CONNECT names the target, in
// words that the cluster's name server knows, or a listener has one target for good. The package opens no port itself;
// who may connect is decided by who may open the socket.
package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// Dial connects through the tunnel's socket to an address inside, as host:port.
func Dial(ctx context.Context, socket, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("reach the engine (is it up?): %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	reader, err := ask(conn, address)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to %s inside the engine: %w", address, errors.Join(err, ctx.Err()))
	}
	return &connection{Conn: conn, reader: reader}, nil
}

// Dialer is Dial in the shape that HTTP transports and SSH clients take.
func Dialer(socket string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		return Dial(ctx, socket, address)
	}
}

func ask(conn net.Conn, address string) (*bufio.Reader, error) {
	if _, err := fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", address); err != nil {
		return nil, fmt.Errorf("ask: %w", err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	return reader, nil
}

// connection reads what came right behind the answer first.
type connection struct {
	net.Conn
	reader *bufio.Reader
}

// Read implements net.Conn. The error is the connection's own, for io.EOF is one.
func (c *connection) Read(p []byte) (int, error) {
	return c.reader.Read(p) //nolint:wrapcheck // callers compare it
}

// CloseWrite says that nothing more will be sent.
func (c *connection) CloseWrite() error { return closeWrite(c.Conn) }

// Serve answers CONNECT requests until the listener is closed.
func Serve(listener net.Listener) error {
	server := &http.Server{Handler: http.HandlerFunc(connect)}
	return fmt.Errorf("serve tunnel: %w", server.Serve(listener))
}

func connect(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT is served here", http.StatusMethodNotAllowed)
		return
	}
	target, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		target.Close()
		return
	}
	if err := buffered.Flush(); err != nil {
		client.Close()
		target.Close()
		return
	}
	join(&connection{Conn: client, reader: buffered.Reader}, target)
}

// Forward leads every connection to one target until the listener is closed.
func Forward(listener net.Listener, target string) error {
	for {
		client, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept connection for %s: %w", target, err)
		}
		go func() {
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			join(client, server)
		}()
	}
}

// join copies both ways until both are done.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { pipe(a, b) })
	both.Go(func() { pipe(b, a) })
	both.Wait()
	a.Close()
	b.Close()
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = closeWrite(to)
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return fmt.Errorf("end sending: %w", err)
		}
		return nil
	}
	if err := conn.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}
