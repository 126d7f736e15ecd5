package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/cached"
	"slipway.dev/slipway/test/engine/lock"
)

// threeDays is long enough for whoever goes to and fro between two versions.
const threeDays = 72 * time.Hour

func newPrune(s *settings) *cobra.Command {
	unused := threeDays
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove from the cache what no build has used for a time",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			freed, err := s.prune(cmd.Context(), time.Now().Add(-unused))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d MiB freed\n", freed>>20)
			return nil
		},
	}
	cmd.Flags().DurationVar(&unused, "unused-for", unused, "how long nothing has used it")
	return cmd
}

func (s *settings) prune(ctx context.Context, since time.Time) (freed int64, err error) {
	cache, err := s.cache()
	if err != nil {
		return 0, err
	}
	for _, dir := range []string{binDir, imageDir} {
		bytes, err := pruneOne(ctx, filepath.Join(cache, dir), since)
		if freed += bytes; err != nil {
			return freed, err
		}
	}
	return freed, nil
}

// pruneOne waits for builds, which use files before they say so.
func pruneOne(ctx context.Context, dir string, since time.Time) (int64, error) {
	release, err := lock.Wait(ctx, filepath.Join(dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("wait for a build: %w", err)
	}
	defer release()
	return cached.Prune(dir, since)
}
