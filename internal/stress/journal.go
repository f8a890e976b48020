package stress

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/brine-go/brine/persistence"
)

// What an entry of a journal says.
const (
	Begin     = "begin"     // the operation is about to start
	Ack       = "ack"       // it has succeeded
	Fail      = "fail"      // it has surely not happened
	Doubt     = "doubt"     // nobody knows whether it has happened
	Missed    = "missed"    // the object was not there
	Violation = "violation" // something that must never be; Text says what
	Tally     = "tally"     // what the worker has counted

	Hold = "hold" // a claim is held, or extended
	Drop = "drop" // it is about to be given up
	Late = "late" // a write under it was refused
)

// The operations of a journal.
const (
	Create  = "create"
	Raise   = "raise"
	Replace = "replace"
	Remove  = "remove"
)

// An Entry is one line of a journal.
type Entry struct {
	Worker string           `json:"w"`
	Op     int64            `json:"o,omitempty"` // number of the operation, counted by the worker
	What   string           `json:"x"`
	Verb   string           `json:"v,omitempty"`
	Key    string           `json:"k,omitempty"`
	Kind   string           `json:"t,omitempty"`
	IDs    []persistence.ID `json:"i,omitempty"` // of all nodes, the root's first
	Value  int64            `json:"n,omitempty"` // of a raise or replace: how often the worker has then raised the object
	Total  int64            `json:"s,omitempty"` // of an acknowledged raise: what N became; 0 where that is not known
	Text   string           `json:"e,omitempty"`

	Uncertain int `json:"u,omitempty"` // attempts that ended in ErrUncertain
	Lost      int `json:"l,omitempty"` // attempts that ended in an error of the connection

	At    int64 `json:"at,omitempty"` // of a claim: when this was written, in microseconds
	Until int64 `json:"ut,omitempty"` // until when the claim holds; Key is the ID and Value the token

	Loads     int64 `json:"tl,omitempty"`
	Conflicts int64 `json:"tc,omitempty"`
	Cancelled int64 `json:"tx,omitempty"`
}

// A Journal is an append-only file that outlives its process (not its machine): each entry is one
// write. It is safe for concurrent use.
type Journal struct {
	mu  sync.Mutex
	f   *os.File
	err error
}

// Open makes the journal, or goes on with it.
func Open(path string) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &Journal{f: f}, nil
}

func (j *Journal) write(e Entry) {
	line, err := json.Marshal(e)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		_, err = j.f.Write(append(line, '\n'))
	}
	j.err = errors.Join(j.err, err)
}

// Err returns what went wrong with the journal itself.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }

// readJournal calls fn with every entry of a journal. A last line that was cut off by a kill is
// left out.
func readJournal(path string, fn func(Entry)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF { //nolint:errorlint // bufio gives io.EOF as it is
			return nil
		} else if err != nil {
			return err
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		fn(e)
	}
}
