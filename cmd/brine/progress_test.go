package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressShowsAfterASecondAndOnATerminalAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out, errOut bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &errOut)
		p := a.progress("copying", 1000)
		p.set(500, 1000)
		p.end()
		if p != nil || errOut.Len() > 0 {
			t.Errorf("not on a terminal: %q", &errOut)
		}

		a.errIsTerminal = true
		p = a.progress("copying", 0)
		for i := range int64(9) {
			p.set(i*10, 1000)
			time.Sleep(100 * time.Millisecond)
		}
		p.end()
		if errOut.Len() > 0 {
			t.Errorf("within a second: %q", &errOut)
		}

		p = a.progress("copying", 0)
		for i := range int64(21) {
			p.set(i*10, 1000)
			time.Sleep(100 * time.Millisecond)
		}
		shown := errOut.String()
		for _, want := range []string{"copying", "20%", "200/1000", "100 it/s"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%q is not in %q", want, shown)
			}
		}
		p.end()
		if rest := strings.TrimPrefix(errOut.String(), shown); strings.TrimSpace(rest) != "" || rest == "" {
			t.Errorf("the end: %q", rest)
		}
	})
}
