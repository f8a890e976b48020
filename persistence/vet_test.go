package persistence_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// The types of two versions of a program. The older stores under names that are aliases now.
type (
	oldJob struct {
		persistence.Persistable
		Name, Gone string
		State      string
		Part       oldPart
		Parts      []oldPart
		Next       *oldJob
	}
	oldPart struct{ X, Y int }

	newJob struct {
		persistence.Persistable
		Title string `msgpack:"Title,alias:Name"`
		State string
		Part  newPart
		Parts []newPart
		Next  *newJob
	}
	newPart struct{ X int }

	oldText   struct{ N string }
	newNumber struct{ N int }
)

func (*newJob) RecordVersion() int { return 3 }

func (*newJob) UpgradeRecord(from int, fields map[string]any) error {
	if fields["Name"] == "refuse" {
		return fmt.Errorf("as told, from version %d", from)
	}
	fields["Title"] = strings.ToUpper(fields["Name"].(string))
	delete(fields, "Name")
	return nil
}

// storeOld is the older program, in a process of its own.
func storeOld(ctx context.Context, s *persistence.Store) error {
	persistence.Register[oldJob]("vet.job")
	persistence.Register[oldText]("vet.text")
	next := &oldJob{Name: "next", State: "NEW"}
	_, err := s.SaveAll(ctx,
		&oldJob{Name: "job", State: "NEW", Next: next},
		&oldJob{Name: "refuse", State: "NEW"},
		&oldJob{Name: "gone", Gone: "x", State: "NEW", Part: oldPart{1, 2}, Parts: []oldPart{{3, 4}}},
		&oldText{"text"})
	if err != nil {
		return err
	}
	for f, err := range s.Vet(ctx, nil) {
		return fmt.Errorf("the program that stored them finds %v, %w", f, err)
	}
	return s.KV().Set(ctx, "pair", oldText{"5"})
}

// registerNew makes this process the newer program.
var registerNew = sync.OnceFunc(func() {
	persistence.Register[newJob]("vet.newjob")
	persistence.RegisterAlias[newJob]("vet.job")
	persistence.Register[newNumber]("vet.text")
})

func vetFindings(t *testing.T, s *persistence.Store, q *persistence.Query) (all []string) {
	t.Helper()
	for f, err := range s.Vet(t.Context(), q) {
		check(t, err)
		all = append(all, fmt.Sprintf("%s%s %s: %s", f.ID, f.Key, f.Kind, f.Detail))
	}
	return all
}

func TestVetAndMigrate(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		if url == "mem:" {
			t.Skip("another process cannot write to private memory")
		}
		ctx := t.Context()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BRINE_TEST_CHILD=vet", "BRINE_TEST_URL="+url)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%v\n%s", err, out)
		}
		registerNew()
		title := extrafields.Get("title", extrafields.Text, "Title").Only(newJob{})
		s := open(t, url, &persistence.Options{ExtraFields: []extrafields.Field{title}})
		must[persistence.ID](t)(s.Save(ctx, &newJob{Title: "new", State: "NEW"}))
		ids := list(t, s, nil)
		all := strings.Join(vetFindings(t, s, nil), "\n")
		for _, want := range []string{
			"OldForm: version 0, and this program has 3",
			"Unloadable: newJob: UpgradeRecord from version 0: as told, from version 0",
			"UnknownFields: newJob.Gone, newJob.Part.Y; dropped by a save, which is refused: newJob.Parts[0].Y",
			"Unloadable: newNumber.N: a string where an integer is wanted",
			`StaleColumn: title is <nil>, and the object's is JOB`,
		} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is missing in\n%s", want, all)
			}
		}
		before := revisionsOf(t, s)
		dry := must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{DryRun: true}))
		if fmt.Sprint(dry) != "{7 3 0 3}" || fmt.Sprint(revisionsOf(t, s)) != fmt.Sprint(before) {
			t.Errorf("a dry run: %+v", dry)
		}
		job := must[*newJob](t)(persistence.Load[newJob](ctx, s, ids[0]))
		claims := must[[]*persistence.Claim](t)(s.Claim(ctx, &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", job.Next.PersistentID())}},
			persistence.ClaimOptions{Owner: "o", Lease: 1e12}))
		var done int64
		report := must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{Progress: func(n, _ int64) { done = n }}))
		// The claimed one is skipped. The one that would lose a field, the one that refuses, the
		// text and the pair fail.
		if fmt.Sprint(report) != "{7 1 1 4}" || done != 7 {
			t.Errorf("got %+v, %d done", report, done)
		}
		check(t, claims[0].Release(ctx))
		report = must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{}))
		if fmt.Sprint(report) != "{7 1 0 4}" {
			t.Errorf("the second one: %+v", report)
		}
		drop := open(t, url, &persistence.Options{DropUnknown: true, ExtraFields: []extrafields.Field{title}})
		report = must[persistence.MigrateReport](t)(drop.Migrate(ctx, persistence.MigrateOptions{}))
		if fmt.Sprint(report) != "{7 1 0 3}" {
			t.Errorf("with DropUnknown: %+v", report)
		}
		job = must[*newJob](t)(persistence.Load[newJob](ctx, s, ids[0]))
		if job.Title != "JOB" || job.Next == nil || job.Next.Title != "NEXT" {
			t.Errorf("got %+v", job)
		}
		rest := vetFindings(t, s, nil)
		rest = slices.DeleteFunc(rest, func(f string) bool { return strings.Contains(f, "Unloadable") || strings.Contains(f, "UnknownFields") })
		if len(rest) > 0 {
			t.Errorf("left are %q", rest)
		}
	})
}

func revisionsOf(t *testing.T, s *persistence.Store) (all []string) {
	t.Helper()
	for info, err := range s.StatAll(t.Context(), nil) {
		check(t, err)
		all = append(all, fmt.Sprint(info.ID, info.Revision))
	}
	return all
}
