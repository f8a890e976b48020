package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// A Source is where jobs come from: a folder of job files (JSON, as in JobSpec), or a counter that
// makes jobs. How far it was read is kept in the record, and is saved together with the jobs read:
// both, or neither.
type Source struct {
	persistence.Persistable
	Key     string
	Dir     string // the folder; "": a counter
	Total   int    // of a counter: up to where to count
	Taken   int    // how many jobs were taken
	Last    string // of a folder: the name of the last file taken; they are taken in the order of their names
	Drained bool   // there is nothing more to take
}

// refill makes the store's source of that folder ("": the counter) have jobs again: what is new in
// the folder, or, where the counter has ended, n more. A counter that has not ended is left as it
// is: what an earlier run began comes first.
func refill(ctx context.Context, store *persistence.Store, dir string, n int) error {
	s := &Source{Key: "counter", Total: n}
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		s = &Source{Key: filepath.Base(abs), Dir: abs}
	}
	id := persistence.ID("source." + s.Key)
	err := store.Insert(ctx, id, s)
	for range 100 {
		switch {
		case errors.Is(err, persistence.ErrExists), errors.Is(err, persistence.ErrConflict): // the manager of another run has just claimed it
		default:
			return err
		}
		s, err = persistence.Load[Source](ctx, store, id)
		if err != nil || !s.Drained && s.Dir == "" {
			return err
		}
		if s.Drained = false; s.Dir == "" {
			s.Total += n
		}
		_, err = store.SaveOnly(ctx, s)
	}
	return err
}

// next takes up to n jobs, and marks a source that has no more as drained.
func (s *Source) next(n int) ([]*Job, error) {
	var taken []*Job
	take := func(spec JobSpec, name, file string) {
		s.Taken++
		taken = append(taken, &Job{
			Key: s.Key + "/" + name, JobSpec: spec, State: Received, Batchable: spec.Batchable,
			SourceKey: s.Key, SourceMeta: SourceMeta{Number: s.Taken, File: file},
		})
	}
	if s.Dir == "" {
		for s.Taken < s.Total && len(taken) < n {
			i := s.Taken + 1
			spec := JobSpec{HashBytes: 64 << 10, Batchable: true} // most are small
			if i%10 == 0 {
				spec = JobSpec{HashBytes: 8 << 20}
			}
			take(spec, fmt.Sprint(i), "")
		}
		s.Drained = s.Taken == s.Total
		return taken, nil
	}
	entries, err := os.ReadDir(s.Dir)   // sorted by name
	if errors.Is(err, fs.ErrNotExist) { // -from takes it up again when it is back
		log.Printf("source %s has no more jobs: %v", s.Key, err)
		s.Drained = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name() <= s.Last || filepath.Ext(e.Name()) != ".json" {
			continue
		}
		if len(taken) == n {
			return taken, nil
		}
		s.Last = e.Name()
		spec, err := readSpec(filepath.Join(s.Dir, s.Last))
		take(spec, strings.TrimSuffix(s.Last, ".json"), s.Last)
		if err != nil { // one bad file does not keep the others back
			j := taken[len(taken)-1]
			j.State, j.Errors = Executed, []string{err.Error()}
		}
	}
	s.Drained = true
	return taken, nil
}

func readSpec(file string) (JobSpec, error) {
	var spec JobSpec
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &spec)
	}
	if err == nil && len(spec.Command) == 0 && spec.HashBytes <= 0 {
		err = errors.New("neither a command nor hash_bytes")
	}
	if err != nil {
		return JobSpec{}, fmt.Errorf("job file %s: %w", file, err)
	}
	return spec, nil
}
