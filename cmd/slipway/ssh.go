package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/term"
)

var errHostKeyChanged = errors.New("the host key has changed")

type sshOptions struct {
	user     string
	identity string
	timeout  time.Duration
}

func newSSH(g *globals) *cobra.Command {
	var o sshOptions
	cmd := &cobra.Command{
		Use:   "ssh [USER@]MACHINE [-- COMMAND...]",
		Short: "Log in to a machine, or run one command in it",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("want the name of a machine")}
			}
			return nil
		},
		ValidArgsFunction: completeNames(g, machineList),
		RunE: func(cmd *cobra.Command, args []string) error {
			machine := args[0]
			if user, name, found := strings.Cut(machine, "@"); found {
				o.user, machine = user, name
			}
			return runSSH(cmd.Context(), g, machine, strings.Join(args[1:], " "), o)
		},
	}
	cmd.Flags().StringVarP(&o.user, "username", "l", "root", "user to log in as")
	cmd.Flags().StringVarP(&o.identity, "identity-file", "i", "", "private key (default: the demo's key in the data directory)")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long to wait for the guest to answer")
	return cmd
}

func runSSH(ctx context.Context, g *globals, machine, command string, o sshOptions) error {
	c, err := g.connect()
	if err != nil {
		return err
	}
	config, err := sshConfig(g, c.namespace+"/"+machine, o)
	if err != nil {
		return err
	}
	where := func(ctx context.Context) (string, error) { return sshAddress(ctx, c, machine) }
	conn, err := dialSSH(ctx, where, config, o.timeout)
	if err != nil {
		return fmt.Errorf("log in to %s@%s: %w", o.user, machine, err)
	}
	return errors.Join(sshSession(conn, command), ignoreClosed(conn.Close()))
}

// sshConfig keeps to algorithms that small SSH servers such as dropbear offer;
// longer lists make old ones end the connection.
func sshConfig(g *globals, host string, o sshOptions) (*ssh.ClientConfig, error) {
	identity := o.identity
	if identity == "" {
		identity = g.layout().SSHKey()
	}
	private, err := os.ReadFile(identity)
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w; name another with -i", err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("parse the private key %s: %w", identity, err)
	}
	return &ssh.ClientConfig{
		User:              o.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback:   rememberHost(g.layout().KnownHosts(), host),
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256},
		Config: ssh.Config{
			KeyExchanges: []string{ssh.KeyExchangeCurve25519},
			Ciphers:      []string{ssh.CipherAES128CTR, ssh.CipherChaCha20Poly1305},
			MACs:         []string{ssh.HMACSHA256},
		},
		Timeout: 10 * time.Second,
	}, nil
}

// rememberHost accepts a machine's key the first time it is met, and only that
// key from then on. Machines are known by namespace and name, because their
// ports on this host change.
func rememberHost(file, host string) ssh.HostKeyCallback {
	return func(_ string, _ net.Addr, key ssh.PublicKey) error {
		known, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read known hosts: %w", err)
		}
		want := knownhosts.Line([]string{host}, key)
		for line := range strings.Lines(string(known)) {
			if line = strings.TrimSpace(line); line == want {
				return nil
			} else if strings.HasPrefix(line, host+" ") {
				return fmt.Errorf("%w: %s; if its disk was made anew, remove the line %q from %s", errHostKeyChanged, host, line, file)
			}
		}
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("remember the host key: %w", err)
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, want); err != nil {
			return fmt.Errorf("remember the host key: %w", err)
		}
		return nil
	}
}

// dialSSH retries while the guest is starting or still booting, which also means
// until its first boot has taken the key; a changed host key is final. The
// address is asked for each time, because a new instance has a new one.
func dialSSH(ctx context.Context, where func(context.Context) (string, error), config *ssh.ClientConfig, timeout time.Duration) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	retry := time.NewTicker(500 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := dialOnce(ctx, where, config)
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, errHostKeyChanged) {
			return nil, fmt.Errorf("refused: %w", err)
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer in %s: %w; `slipway console` shows what the guest does", timeout, err)
		}
	}
}

func dialOnce(ctx context.Context, where func(context.Context) (string, error), config *ssh.ClientConfig) (*ssh.Client, error) {
	address, err := where(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: config.Timeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	client, err := handshake(ctx, conn, address, config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dial %s: %w", address, err), ignoreClosed(conn.Close()))
	}
	return client, nil
}

// handshake ends with the context: QEMU takes connections before the guest is up,
// and keeps them when the guest hangs.
func handshake(ctx context.Context, conn net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if err != nil {
		stop()
		return nil, err //nolint:wrapcheck // wrapped by dialOnce
	}
	if !stop() {
		return nil, ctx.Err() //nolint:wrapcheck // wrapped by dialOnce
	}
	return ssh.NewClient(c, channels, requests), nil
}

func sshSession(conn *ssh.Client, command string) error {
	session, err := conn.NewSession()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	defer func() { _ = session.Close() }()
	session.Stdin, session.Stdout, session.Stderr = os.Stdin, os.Stdout, os.Stderr
	if command != "" {
		return exitOf(session.Run(command))
	}
	restore, err := shell(session)
	if err != nil {
		return err
	}
	defer restore()
	return exitOf(session.Wait())
}

func shell(session *ssh.Session) (restore func(), err error) {
	restore, err = rawTerminal(os.Stdin)
	if err != nil {
		return nil, err
	}
	width, height, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width, height = 80, 24
	}
	if err := session.RequestPty(os.Getenv("TERM"), height, width, ssh.TerminalModes{}); err != nil {
		restore()
		return nil, fmt.Errorf("ask for a terminal: %w", err)
	}
	if err := session.Shell(); err != nil {
		restore()
		return nil, fmt.Errorf("start a shell: %w", err)
	}
	return restore, nil
}

// ignoreClosed drops the error of closing what the other side closed before.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func exitOf(err error) error {
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("the command ended with status %d", exit.ExitStatus())
	}
	if err != nil {
		return fmt.Errorf("run in the machine: %w", err)
	}
	return nil
}
