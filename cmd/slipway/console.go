package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// escape is Ctrl-], as in virtctl and telnet.
const escape = 0x1d

func newConsole(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:               "console MACHINE",
		Short:             "Connect to a machine's serial console (Ctrl-] leaves)",
		Args:              exactArgs(1, "the name of one machine"),
		ValidArgsFunction: completeNames(g, machineList),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.connect()
			if err != nil {
				return err
			}
			socket, err := serialSocket(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Connected to %s; Ctrl-] leaves.\n", args[0])
			return console(cmd.Context(), socket, os.Stdin, cmd.OutOrStdout())
		},
	}
}

// console joins a terminal and a serial line until either ends or the escape
// character is typed.
func console(ctx context.Context, socket string, in *os.File, out io.Writer) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("connect to the serial console: %w; another console may hold it", err)
	}
	defer conn.Close()
	restore, err := rawTerminal(in)
	if err != nil {
		return err
	}
	defer restore()
	ended := make(chan error, 2)
	go func() { ended <- copyUntilEscape(conn, in) }()
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serial console: %w", err)
	}
	return nil
}

func copyUntilEscape(to io.Writer, from io.Reader) error {
	buffer := make([]byte, 256)
	for {
		n, err := from.Read(buffer)
		typed, _, left := bytes.Cut(buffer[:n], []byte{escape})
		if _, err := to.Write(typed); err != nil {
			return fmt.Errorf("send: %w", err)
		}
		if left || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the keyboard: %w", err)
		}
	}
}

// rawTerminal lets every key reach the guest; it does nothing for a pipe.
func rawTerminal(in *os.File) (restore func(), err error) {
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return func() {}, nil
	}
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	return func() { _ = term.Restore(fd, state) }, nil
}
