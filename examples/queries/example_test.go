package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func Example() {
	if err := answer(context.Background(), "mem:", os.Stdout); err != nil {
		panic(err)
	}
	// Output:
	// the longest first, those without a result last:
	//   2   FAILED  owner=ann  site=lab-2  code=137   seconds=60
	//   1   DONE    owner=ann  site=lab-1  code=0     seconds=4.5
	//   3   DONE    owner=bob  site=home   code=0     seconds=0.25
	//   4   NEW     owner=bob  site=lab-1  code=NULL  seconds=NULL
	//   5   NEW     owner=cid  site=home   code=NULL  seconds=NULL
	// failed, by their exit code:
	//   2   FAILED  owner=ann  site=lab-2  code=137   seconds=60
	// in any lab:
	//   1   DONE    owner=ann  site=lab-1  code=0     seconds=4.5
	//   4   NEW     owner=bob  site=lab-1  code=NULL  seconds=NULL
	//   2   FAILED  owner=ann  site=lab-2  code=137   seconds=60
	// the first of ann's or cid's that is new or failed:
	//   2   FAILED  owner=ann  site=lab-2  code=137   seconds=60
	// how many in each state:
	//   NEW     2
	//   DONE    2
	//   FAILED  1
	// one object, loaded:
	//   plot took 0.25 s
}

func TestEveryBackendAnswersAlike(t *testing.T) {
	t.Parallel()
	printed := func(url string) string {
		var out strings.Builder
		if err := answer(t.Context(), url, &out); err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		return out.String()
	}
	want := printed("mem:")
	for _, url := range []string{
		"sqlite:" + filepath.ToSlash(filepath.Join(t.TempDir(), "jobs.db")),
		"file:" + filepath.ToSlash(filepath.Join(t.TempDir(), "jobs")),
	} {
		if diff := cmp.Diff(want, printed(url)); diff != "" {
			t.Errorf("%s differs from mem: (-want +got):\n%s", url, diff)
		}
	}
}

func TestTheCommandLineIsChecked(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"all":         `unexpected argument "all"`,
		"-store mem:": "",
		"-tape":       "not defined: -tape",
	} {
		var stdout, stderr strings.Builder
		err := run(t.Context(), strings.Fields(args), &stdout, &stderr)
		code := app.Exit(t.Context(), err, &stderr)
		if ok := want == ""; (code == 0) != ok || (stdout.Len() > 0) != ok || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit code %d, %d bytes printed, errors %q, want %q", args, code, stdout.Len(), &stderr, want)
		}
	}
}
