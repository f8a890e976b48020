package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/url"
)

func newCompact(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "compact URL",
		Short: "give the space of removed records back",
		Long: `Compact gives the space that removed records have left back to the file system or the server: VACUUM on
SQLite, which needs room for the whole file once more, and on PostgreSQL; OPTIMIZE TABLE on MySQL and
MariaDB. Of a directory it removes what programs that crashed have left. No record changes. Programs
that use the store may have to wait meanwhile.

With --json it prints one object, for a SQLite file with before and after, its sizes in bytes.`,
		Example:           `  brine compact tasks.db`,
		Args:              arguments,
		ValidArgsFunction: a.completeURL,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.compact(cmd.Context(), args[0]) },
	}
}

func (a *app) compact(ctx context.Context, rawURL string) (err error) {
	s, err := a.open(ctx, rawURL, readWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	before, isFile := fileSize(s.URL())
	if err := s.Compact(ctx); err != nil {
		return err
	}
	after, _ := fileSize(s.URL())
	switch {
	case a.json && isFile:
		return a.printJSON(map[string]any{"before": before, "after": after})
	case a.json:
		return a.printJSON(map[string]any{})
	case isFile:
		a.printf("compacted from %s to %s\n", a.size(before), a.size(after))
	default:
		a.printf("compacted\n")
	}
	return nil
}

// fileSize returns the size of a database that is one file, with its log.
func fileSize(u url.URL) (size int64, isFile bool) {
	if u.Scheme() != "sqlite" {
		return 0, false
	}
	path := u.Path()
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	size = info.Size()
	if log, err := os.Stat(path + "-wal"); err == nil {
		size += log.Size()
	}
	return size, true
}
