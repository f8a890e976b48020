package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

// What completion may cost, since a person waits for it.
const (
	completionTime = time.Second
	completionMost = 100 // candidates
)

// completeURL completes the first argument, a store, and nothing after it.
func (a *app) completeURL(_ *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeStore(toComplete)
}

// completeURLs completes two stores.
func (a *app) completeURLs(_ *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeStore(toComplete)
}

// completeIDs completes a store and IDs of its records.
func (a *app) completeIDs(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeStore(toComplete)
	}
	return a.complete(cmd, args[0], func(ctx context.Context, s *persistence.Store) (found []cobra.Completion, err error) {
		q := &persistence.Query{Limit: completionMost}
		if toComplete != "" {
			q.Where = []persistence.Cond{persistence.HasPrefix("id", toComplete)}
		}
		for info, err := range s.StatAll(ctx, q, "type", "state") {
			if err != nil {
				return found, err
			}
			if id := string(info.ID); !slices.Contains(args[1:], id) && printable(id) == id {
				found = append(found, cobra.CompletionWithDesc(id, printable(info.Type+" "+info.State)))
			}
		}
		return found, nil
	})
}

// completeFlags completes the values of the flags --type and --state.
func (a *app) completeFlags(cmd *cobra.Command) {
	for _, column := range []string{"type", "state"} {
		_ = cmd.RegisterFlagCompletionFunc(column, func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return a.complete(cmd, args[0], func(ctx context.Context, s *persistence.Store) (found []cobra.Completion, err error) {
				groups, err := s.CountBy(ctx, column, nil)
				for _, g := range groups {
					if value, ok := g.Value.(string); ok && strings.HasPrefix(value, toComplete) && printable(value) == value {
						found = append(found, cobra.CompletionWithDesc(value, plural(g.Count, "record")))
					}
				}
				return found, err
			})
		}) // it fails only for a flag that there is not
	}
}

// complete asks a store for candidates, within the time that a person waits.
func (a *app) complete(cmd *cobra.Command, rawURL string, ask func(context.Context, *persistence.Store) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return nil, directive
	}
	defer s.Close()
	found, err := ask(ctx, s)
	if err != nil {
		cobra.CompDebugln(fmt.Sprint(err), false)
	}
	return found, directive
}

// completeStore completes the URL of a store: the scheme, and the path of a file or directory.
func completeStore(toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	scheme, path, ok := strings.Cut(toComplete, ":")
	if ok && (scheme == "sqlite" || scheme == "file") {
		var found []cobra.Completion
		matches, _ := filepath.Glob(globEscape.Replace(path) + "*")
		for _, match := range matches {
			if scheme == "sqlite" && (strings.HasSuffix(match, "-wal") || strings.HasSuffix(match, "-shm")) {
				continue // they belong to a database
			}
			found = append(found, scheme+":"+filepath.ToSlash(match))
		}
		return found, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	for _, scheme := range []string{"sqlite:", "file:", "postgres://", "mysql://"} {
		if toComplete != "" && strings.HasPrefix(scheme, toComplete) {
			if matches, _ := filepath.Glob(globEscape.Replace(toComplete) + "*"); len(matches) == 0 {
				return []cobra.Completion{scheme}, cobra.ShellCompDirectiveNoSpace
			}
		}
	}
	return nil, cobra.ShellCompDirectiveDefault
}

var globEscape = strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`)
