package battery

import (
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
	_ "github.com/brine-go/brine/persistence/fs"
	_ "github.com/brine-go/brine/persistence/sql/sqlite"
)

func TestBackendsOfThisProcessAnswerAlike(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"in a file":      "sqlite:" + filepath.ToSlash(filepath.Join(t.TempDir(), "battery.db")),
		"in a directory": "file:" + filepath.ToSlash(t.TempDir()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Run(t, url)
		})
	}
}

func TestAnswersThatDifferAreTold(t *testing.T) {
	t.Parallel()
	want := []string{"a", "b"}
	for name, c := range map[string]struct {
		got  []string
		err  error
		want string
	}{
		"the same":              {want, nil, ""},
		"another one":           {[]string{"a", "c"}, nil, "not as in memory"},
		"one too many":          {[]string{"a", "b", "c"}, nil, "not as in memory"},
		"one too few":           {[]string{"a"}, nil, "1 of 2 answers"},
		"an error at the end":   {want, io.EOF, "after 2 of 2 answers: EOF"},
		"an error at the start": {nil, io.EOF, "after 0 of 2 answers: EOF"},
	} {
		if got := compare(want, c.got, c.err); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAStoreThatIsNotEmptyAnswersOtherwise(t *testing.T) {
	t.Parallel()
	want, err := inMemory()
	if err != nil {
		t.Fatal(err)
	}
	url := "sqlite:" + filepath.ToSlash(filepath.Join(t.TempDir(), "battery.db"))
	for _, before := range []int{0, 1} {
		s, err := persistence.MakeStore(t.Context(), url, &persistence.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		for range before {
			if _, err := s.Save(t.Context(), "something"); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := transcribe(t.Context(), url)
		if differs := compare(want, got, err) != ""; differs != (before > 0) {
			t.Errorf("%d records before: the answers differ: %v", before, differs)
		}
	}
}
