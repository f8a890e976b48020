package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// A progress shows how far a long operation has come, with its rate and the time that remains. It
// is shown on the error output, if that is a terminal, and only once a second has passed. A nil
// *progress shows nothing.
type progress struct {
	bar   *progressbar.ProgressBar
	total int64
}

const (
	progressDelay = time.Second
	progressText  = 60 // columns of what stands beside the bar and its description, for millions
)

// progress begins to show an operation, such as "copying". total is 0 where it is not known yet.
func (a *app) progress(what string, total int64) *progress {
	if !a.errIsTerminal {
		return nil
	}
	if a.out.Buffered() > 0 {
		_ = a.out.Flush() // a failure shows at the end too
	}
	bar := progressbar.NewOptions64(knownTotal(total),
		progressbar.OptionSetWriter(&lateWriter{w: a.errOut, from: time.Now().Add(progressDelay)}),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(min(max(widthOf(a.errOut)-textWidth(what)-progressText, 5), 20)),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine of its own
	)
	return &progress{bar, knownTotal(total)}
}

// knownTotal returns the total as the bar wants it: -1 where it is not known.
func knownTotal(total int64) int64 {
	if total <= 0 {
		return -1
	}
	return total
}

// set says how far it has come. It has the form of the Progress functions of package persistence.
func (p *progress) set(done, total int64) {
	if p == nil {
		return
	}
	if total > 0 {
		total = max(total, done+1) // a bar that was full once stays so, and the total may grow
	}
	if known := knownTotal(total); known != p.total {
		p.total = known
		p.bar.ChangeMax64(known)
	}
	_ = p.bar.Set64(done) // it fails only if the terminal is gone
}

// end removes it from the screen.
func (p *progress) end() {
	if p != nil {
		_ = p.bar.Clear()
		_ = p.bar.Exit()
	}
}

// A lateWriter drops what is written before a moment.
type lateWriter struct {
	w    io.Writer
	from time.Time
}

func (w *lateWriter) Write(p []byte) (int, error) {
	if time.Now().Before(w.from) {
		return len(p), nil
	}
	return w.w.Write(p)
}
