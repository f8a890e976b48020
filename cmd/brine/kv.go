package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brine-go/brine/persistence"
)

func newKV(a *app) *cobra.Command {
	kv := &cobra.Command{
		Use:   "kv URL [KEY]",
		Short: "list, get, set and delete key-value pairs",
		Long: `Kv lists the key-value pairs of a store, or prints the value of one key. Its own commands get, set, list
and delete do the same and the rest: "brine kv set --help" tells how.

A value whose Go type is one of the program that set it is listed without it: only that program can
read it.

With --json a pair is an object with key and value, and in lists created and modified; the value is as
"brine show" has it. A value that cannot be read is null, with an error.`,
		Example: `  brine kv tasks.db
  brine kv tasks.db limits/parallel
  brine kv set tasks.db limits/parallel 8`,
		Args:              arguments,
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.kvList(cmd.Context(), args[0], "")
			}
			return a.kvGet(cmd.Context(), args[0], args[1])
		},
	}
	kv.AddCommand(newKVGet(a), newKVSet(a), newKVList(a), newKVDelete(a))
	return kv
}

func newKVGet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "get URL KEY",
		Short: "print the value of a key",
		Long: `Get prints the value of a key: a text as it is; anything else as a tree on a terminal, as JSON in a pipe.
With --json it prints {"key": KEY, "value": VALUE}.`,
		Example:           `  brine kv get tasks.db limits/parallel`,
		Args:              arguments,
		ValidArgsFunction: a.completeKeys,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.kvGet(cmd.Context(), args[0], args[1]) },
	}
}

func newKVList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list URL [PREFIX]",
		Short: "list the pairs, or those whose keys begin with a prefix",
		Long: `List lists the pairs of a store in the order of their keys, or those whose keys begin with PREFIX. With
--json each is an object with key, value, created and modified.`,
		Example:           `  brine kv list tasks.db limits/`,
		Args:              arguments,
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvList(cmd.Context(), args[0], strings.Join(args[1:], ""))
		},
	}
}

func newKVSet(a *app) *cobra.Command {
	var as string
	cmd := &cobra.Command{
		Use:   "set URL KEY VALUE",
		Short: "set the value of a key",
		Long: `Set sets the value of a key, new or not. VALUE "-" stands for what is on the input.

A program that reads the value wants it in the Go type that it expects. A key that is there keeps its
type: a whole number stays one of the same size. A new key gets a text, or what --as says:

  text    a string               time    a time: 2026-05-01T12:00:00Z
  int     a whole number (int)   bytes   bytes, given in base64
  float   a number (float64)     json    what the JSON is: objects are map[string]any, lists []any,
  bool    true or false                  whole numbers int, other numbers float64`,
		Example: `  brine kv set tasks.db limits/parallel 8 --as int
  brine kv set tasks.db motd "maintenance at noon"
  brine kv set tasks.db hosts --as json - < hosts.json`,
		Args:              arguments,
		ValidArgsFunction: a.completeKeys,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.kvSet(cmd.Context(), args[0], args[1], args[2], as)
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "the `TYPE`: text, int, float, bool, time, bytes or json")
	_ = cmd.RegisterFlagCompletionFunc("as", cobra.FixedCompletions(valueTypes, cobra.ShellCompDirectiveNoFileComp))
	a.canDryRun(cmd)
	return cmd
}

func newKVDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete URL KEY...",
		Short: "delete pairs",
		Long:  `Delete deletes the pairs with the keys. It asks before, unless --yes. With --json it prints {"deleted": N}.`,
		Example: `  brine kv delete tasks.db limits/parallel
  brine kv delete tasks.db a b --yes`,
		Args:              arguments,
		ValidArgsFunction: a.completeKeys,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.kvDelete(cmd.Context(), args[0], args[1:]) },
	}
	a.destroys(cmd)
	return cmd
}

func (a *app) kvGet(ctx context.Context, rawURL, key string) error {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := s.KV().Get(ctx, key)
	if errors.Is(err, persistence.ErrNotFound) {
		return withHint(err, `"brine kv URL" lists the keys.`)
	}
	if err != nil {
		return err
	}
	scratch, err := newScratch(ctx)
	if err != nil {
		return err
	}
	defer scratch.Close()
	text, isText := v.(string)
	switch {
	case a.json:
		value, err := scratch.json(ctx, v)
		if err != nil {
			return err
		}
		return a.printJSON(map[string]any{"key": key, "value": value})
	case isText && a.isTerminal:
		a.printf("%s\n", printableLines(text))
	case isText:
		a.printf("%s\n", text)
	case !a.isTerminal:
		value, err := scratch.json(ctx, v)
		if err != nil {
			return err
		}
		a.printf("%s\n", value)
	default:
		value, err := scratch.value(ctx, v)
		if err != nil {
			return err
		}
		t := tree{a: a}
		t.print(value)
	}
	return nil
}

// A pairJSON is a pair for programs.
type pairJSON struct {
	Key      string          `json:"key"`
	Value    json.RawMessage `json:"value"`
	Created  *time.Time      `json:"created"`
	Modified *time.Time      `json:"modified"`
	Error    string          `json:"error,omitempty"`
}

func (a *app) kvList(ctx context.Context, rawURL, prefix string) error {
	s, err := a.open(ctx, rawURL, readOnly)
	if err != nil {
		return err
	}
	defer s.Close()
	scratch, err := newScratch(ctx)
	if err != nil {
		return err
	}
	defer scratch.Close()
	t := a.table("KEY", "VALUE", "MODIFIED").alignRight("MODIFIED")
	n := int64(0)
	for p, err := range s.KV().Range(ctx, prefix) {
		pair := pairJSON{Key: p.Key, Created: timeOrNull(p.Created), Modified: timeOrNull(p.Modified)}
		if key, one := recordOf(err); one {
			pair.Key, pair.Error = string(key), unreadable(err)
		} else if err != nil {
			return err
		} else if pair.Value, err = scratch.json(ctx, p.Value); err != nil {
			return err
		}
		n++
		value := cell{string(pair.Value), plain}
		if pair.Error != "" {
			value = cell{"(" + pair.Error + ")", dim}
		}
		if a.json {
			err = a.printJSON(pair)
		} else {
			err = t.row(pair.Key, value, cell{a.time(p.Modified), dim})
		}
		if err != nil {
			return err
		}
	}
	if n == 0 {
		a.note("no pairs")
	}
	return t.end()
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// unreadable says in a few words why a pair cannot be read.
func unreadable(err error) string {
	e, ok := errors.AsType[*persistence.Error](err)
	if !ok {
		return err.Error()
	}
	text := e.Err.Error()
	if errors.Is(err, persistence.ErrUnknownType) {
		text, _, _ = strings.Cut(text, ": ") // what a program would do about it is of no use here
	}
	return text
}

func (a *app) kvSet(ctx context.Context, rawURL, key, text, as string) (err error) {
	if text == "-" {
		b, err := io.ReadAll(a.in)
		if err != nil {
			return err
		}
		text = strings.TrimSuffix(string(b), "\n")
	}
	m := readWrite
	if a.dryRun {
		m = readOnly
	}
	s, err := a.open(ctx, rawURL, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var old any
	if as == "" {
		old, err = s.KV().Get(ctx, key)
		switch {
		case errors.Is(err, persistence.ErrNotFound):
			as = "text"
		case errors.Is(err, persistence.ErrUnknownType):
			return withHint(err, "The program that has set it has a type of its own for it. --as replaces it by a value of another type.")
		case err != nil:
			return err
		}
	}
	v, err := parseValue(text, as, old)
	if err != nil {
		return err
	}
	did := "would set"
	if !a.dryRun {
		if err := s.KV().Set(ctx, key, v); err != nil {
			return err
		}
		did = "set"
	}
	if a.json {
		return a.printJSON(map[string]any{"key": key, "type": fmt.Sprintf("%T", v), "dry_run": a.dryRun})
	}
	a.printf("%s %s (%T)\n", did, printable(key), v)
	return nil
}

func (a *app) kvDelete(ctx context.Context, rawURL string, keys []string) (err error) {
	m := readWrite
	if a.dryRun {
		m = readOnly
	}
	s, err := a.open(ctx, rawURL, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	keys = distinct(keys)
	for _, key := range keys {
		if _, err := s.KV().Get(ctx, key); errors.Is(err, persistence.ErrNotFound) {
			return withHint(err, `"brine kv URL" lists the keys.`)
		}
	}
	did := "would delete"
	if !a.dryRun {
		if err := a.confirm("Delete " + plural(int64(len(keys)), "pair") + "?"); err != nil {
			return err
		}
		for _, key := range keys {
			if err := s.KV().Delete(ctx, key); err != nil {
				return err
			}
		}
		did = "deleted"
	}
	if a.json {
		return a.printJSON(map[string]any{"deleted": len(keys), "dry_run": a.dryRun})
	}
	a.printf("%s %s\n", did, plural(int64(len(keys)), "pair"))
	return nil
}

// completeKeys completes a store and a key of its pairs.
func (a *app) completeKeys(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return completeStore(toComplete)
	}
	if len(args) > 1 && cmd.Name() != "delete" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd, args[0], func(ctx context.Context, s *persistence.Store) (found []cobra.Completion, err error) {
		for p, err := range s.KV().Range(ctx, toComplete) {
			if err != nil && p.Key == "" {
				return found, err
			}
			if found = append(found, p.Key); len(found) == completionMost {
				break
			}
		}
		return found, nil
	})
}

// A scratch store shows what a value looks like as a record: in generic values, and as JSON.
type scratch struct{ *persistence.Store }

func newScratch(ctx context.Context) (scratch, error) {
	s, err := persistence.MakeStore(ctx, "mem:", &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
	return scratch{s}, err
}

func (s scratch) record(ctx context.Context, v any) (*persistence.Record, error) {
	if err := s.Put(ctx, "1", v); err != nil {
		return nil, err
	}
	return s.Record(ctx, "1")
}

// value returns a value as generic values.
func (s scratch) value(ctx context.Context, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	rec, err := s.record(ctx, v)
	if err != nil {
		return nil, err
	}
	return rec.Value()
}

// json returns a value as JSON, in the form that records have, too.
func (s scratch) json(ctx context.Context, v any) (json.RawMessage, error) {
	if v == nil {
		return json.RawMessage("null"), nil
	}
	rec, err := s.record(ctx, v)
	if err != nil {
		return nil, err
	}
	b, err := rec.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var of struct{ Value json.RawMessage }
	err = json.Unmarshal(b, &of)
	return of.Value, err
}
