package persistence_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/driver"
)

// A Moody has a state that cannot be read.
type Moody struct {
	persistence.Persistable
	N int
}

func (*Moody) State() string { panic("moody") }

// Every warning comes once, however often its cause does, and says what to do.
func TestWarningsAreNoNoise(t *testing.T) {
	const times = 300
	failing := []extrafields.Field{
		extrafields.Get("no_field", extrafields.Text, "Nme"),
		extrafields.Get("no_element", extrafields.Text, "Name[0].Host"),
		extrafields.Get("no_kind", extrafields.Int, "Name"),
		extrafields.Func("panics", extrafields.Int, func(any) (any, error) { panic("boom") }),
		extrafields.Func("fails", extrafields.Int, func(any) (any, error) { return nil, errors.New("no") }),
		extrafields.Func("wrong", extrafields.Int, func(any) (any, error) { return "text", nil }),
	}
	backends(t, func(t *testing.T, url string) {
		log := &warningLog{}
		s, ctx := open(t, url, &persistence.Options{ExtraFields: failing, Logger: log.logger()}), t.Context()
		var tasks, moods []any
		for i := range times / 2 {
			tasks = append(tasks, &Task{Name: fmt.Sprint(i)})
			moods = append(moods, &Moody{N: i})
		}
		must[[]persistence.ID](t)(s.SaveAll(ctx, append(tasks, moods...)...))
		for i := range 2 * times / 2 {
			must[persistence.ID](t)(s.Save(ctx, &Task{Name: fmt.Sprint(i)}))
		}
		perColumn := map[string]int{}
		for line := range strings.Lines(log.text.String()) {
			_, rest, ok := strings.Cut(line, " column=")
			if !ok {
				t.Errorf("an unexpected line: %s", line)
				continue
			}
			column, rest, _ := strings.Cut(rest, " type=")
			typ, _, _ := strings.Cut(rest, " ")
			perColumn[column+" of "+typ]++
			if !strings.Contains(line, "correct") || !strings.Contains(line, " id=") {
				t.Errorf("a warning without advice: %s", line)
			}
		}
		for _, f := range failing {
			for _, typ := range []string{"*persistence_test.Task", "*persistence_test.Moody"} {
				if n := perColumn[f.Column().Name+" of "+typ]; n != 1 {
					t.Errorf("%d warnings of %s of %s: %v", n, f.Column().Name, typ, perColumn)
				}
			}
		}
		if n := perColumn["state of *persistence_test.Moody"]; n != 1 || len(perColumn) != 2*len(failing)+1 {
			t.Errorf("%d warnings of the state: %v", n, perColumn)
		}
	})
}

// Failures that differ are each logged, up to a number of a column and type.
func TestFailuresThatDiffer(t *testing.T) {
	log := &warningLog{}
	field := extrafields.Func("n", extrafields.Int, func(obj any) (any, error) { return nil, fmt.Errorf("failure %d", len(obj.(*Row).Name)) })
	s := open(t, "mem:", &persistence.Options{ExtraFields: []extrafields.Field{field}, Logger: log.logger()})
	for i := range 50 {
		must[persistence.ID](t)(s.Save(t.Context(), &Row{Name: strings.Repeat("x", i/2)}))
	}
	text := log.text.String()
	if n := strings.Count(text, "\n"); n != 10 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if n := strings.Count(text, "further failures of this column and type are not logged"); n != 1 {
		t.Errorf("%d lines say that they are the last:\n%s", n, text)
	}
}

// A damaged record is reported once, not by each claim.
func TestDamagedRecordIsNoNoise(t *testing.T) {
	for _, scheme := range []string{"sqlite:", "file:"} {
		t.Run(scheme, func(t *testing.T) {
			log := &warningLog{}
			path := filepath.Join(t.TempDir(), "x")
			s := open(t, scheme+path, &persistence.Options{Logger: log.logger()})
			id := must[persistence.ID](t)(s.Save(t.Context(), &Task{}))
			if scheme == "sqlite:" {
				must[sql.Result](t)(rawSQLite(t, path).Exec("UPDATE store SET created = 'x'"))
			} else {
				spoilFile(t, path, func(data []byte) { data[20] ^= 1 })(id)
			}
			for range 20 {
				claims, err := s.Claim(t.Context(), nil, persistence.ClaimOptions{Owner: "me", Lease: time.Minute, Limit: 1})
				if len(claims) > 0 || err != nil {
					t.Fatalf("%d claims, %v", len(claims), err)
				}
			}
			if text := log.text.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "cannot be claimed") {
				t.Errorf("logged:\n%s", text)
			}
		})
	}
	var logged driver.Logged
	for i := range 3 {
		if logged.First("a") != (i == 0) {
			t.Error("logged twice, or not at all")
		}
	}
}
