package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress tells the user how the run goes. Its methods are called by one goroutine.
type progress interface {
	started(name string)
	ended(t *Task) // in whatever state
	close()
}

// newProgress returns a bar if w is a terminal, else something that prints a line for each task
// that ended. done of all tasks are done already.
func newProgress(w io.Writer, done, all int) progress {
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return newBar(f, done, all)
		}
	}
	return &lines{w: w, done: done, all: all}
}

// lines prints plain lines.
type lines struct {
	w         io.Writer
	done, all int
}

func (l *lines) started(string) {}

func (l *lines) ended(t *Task) {
	switch t.State {
	case Done:
		l.done++
		fmt.Fprintf(l.w, "%*d/%d  DONE    %6s  %s\n", digits(l.all), l.done, l.all, seconds(t.Took), t.Name)
	case Failed:
		fmt.Fprintf(l.w, "%*s%d  FAILED  %6s  %s\n", digits(l.all)+1, "-/", l.all, seconds(t.Took), t.Name)
	}
}

func (l *lines) close() {}

func digits(n int) int { return len(fmt.Sprint(n)) }

// bar draws a progress bar.
type bar struct {
	bar     *progressbar.ProgressBar
	w       io.Writer
	running int
	failed  int
}

func newBar(w io.Writer, done, all int) *bar {
	b := &bar{w: w, bar: progressbar.NewOptions(all,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish(),
	)}
	b.add(done)
	return b
}

func (b *bar) started(string) {
	b.running++
	b.add(0)
}

func (b *bar) ended(t *Task) {
	b.running--
	switch t.State {
	case Done:
		b.add(1)
	case Failed:
		b.failed++
		b.clear()
		fmt.Fprintf(b.w, "FAILED  %s\n", t.Name)
		b.add(0)
	}
}

func (b *bar) close() { b.clear() }

func (b *bar) add(n int) {
	text := fmt.Sprintf("%d running", b.running)
	if b.failed > 0 {
		text += fmt.Sprintf(", %d failed", b.failed)
	}
	b.bar.Describe(text)
	_ = b.bar.Add(n) // an error means that the terminal is gone, and then there is nobody to tell
}

func (b *bar) clear() { _ = b.bar.Clear() }

// seconds prints a duration short.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
