package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/tunnel"
)

func newDial(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "dial HOST:PORT",
		Short: "Connect standard input and output to a pod, a service or a guest",
		Example: `  ssh -o ProxyCommand='engine dial %h:%p' root@10.89.1.8
  echo | engine dial web.default:80`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := s.layout()
			if err != nil {
				return err
			}
			conn, err := tunnel.Dial(cmd.Context(), l.Socket(), args[0])
			if err != nil {
				return err
			}
			defer conn.Close()
			go func() {
				_, _ = io.Copy(conn, cmd.InOrStdin())
				_ = conn.(interface{ CloseWrite() error }).CloseWrite()
			}()
			if _, err := io.Copy(cmd.OutOrStdout(), conn); err != nil {
				return fmt.Errorf("read from %s: %w", args[0], err)
			}
			return nil
		},
	}
}
