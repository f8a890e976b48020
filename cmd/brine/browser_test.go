package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser is a window of Chromium that notes what a page must not do.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string // the address of the pages

	mu       sync.Mutex
	requests int      // sent to the pages
	wrong    []string // errors of the console, and requests to anywhere else
}

// findChromium returns the path of Chromium, or skips the test where there is none, or where no
// other programs are to be started.
func findChromium(t *testing.T) string {
	t.Helper()
	if os.Getenv("BRINE_SERVERS") == "none" {
		t.Skip("Chromium is not started: BRINE_SERVERS=none")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("BRINE_REQUIRE_SERVERS") == "1" {
		t.Fatal("there is no Chromium (Debian: apt-get install chromium), and BRINE_REQUIRE_SERVERS=1 wants it")
	}
	t.Skip("there is no Chromium (Debian: apt-get install chromium)")
	return ""
}

// chromium is the one Chromium of this process. Each test has a window of its own in it.
var chromium struct {
	start sync.Once
	ctx   context.Context
	err   error
	stop  func()
}

// startChromium starts Chromium and returns its context and what ends it.
func startChromium(path string) (context.Context, func(), error) {
	dir, err := os.MkdirTemp("", "brine-chromium")
	if err != nil {
		return nil, nil, err
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(dir)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
		"disable-component-update", "disable-sync", "disable-dev-shm-usage", "disable-extensions", "disable-default-apps", "mute-audio",
		"disable-site-isolation-trials",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	// One process draws all windows: they are of one site, and each process takes a second to
	// start.
	options = append(options, chromedp.Flag("renderer-process-limit", "1"), chromedp.Flag("disable-features", "IsolateOrigins,site-per-process"))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator) //nolint:govet // Cancel cancels it
	return ctx, func() {
		_ = chromedp.Cancel(ctx)
		release()
		for range 50 { // Chromium's processes write to the end
			if os.RemoveAll(dir) == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}, chromedp.Do(ctx)
}

// stopChromium ends Chromium, if a test has started it.
func stopChromium() {
	if chromium.stop != nil {
		chromium.stop()
	}
}

// newBrowser opens a window for the pages at base, of a width of 1280.
func newBrowser(t *testing.T, base string) *browser {
	t.Helper()
	path := findChromium(t)
	chromium.start.Do(func() { chromium.ctx, chromium.stop, chromium.err = startChromium(path) })
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	b.must(chromedp.Listen(ctx, b.listen))
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	_, err = chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	b.must(err)
	_, err = chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	b.must(err)
	b.screen(1280, 844, "light")
	return b
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// listen notes requests and errors.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(e.Request.URL, b.base) {
			b.requests++
		} else if e.Request.URL != "about:blank" {
			b.wrong = append(b.wrong, "a request for "+e.Request.URL)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			b.wrong = append(b.wrong, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *cdpruntime.EventExceptionThrown:
		b.wrong = append(b.wrong, fmt.Sprintf("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *cdpruntime.EventConsoleAPICalled:
		if e.Type == cdpruntime.ConsoleAPICalledTypeError || e.Type == cdpruntime.ConsoleAPICalledTypeWarning {
			b.wrong = append(b.wrong, fmt.Sprintf("console: %v", e.Args))
		}
	}
}

// sent returns how many requests were sent.
func (b *browser) sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// sound fails the test if a page did what none may do.
func (b *browser) sound(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		b.t.Errorf("%s: %s", where, w)
	}
	b.wrong = nil
}

func (b *browser) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	b.must(chromedp.Do(ctx, actions...))
}

// visit opens a page.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base+path), chromedp.WaitReady(chromedp.CSS("footer")))
}

// screen sets the size of the window and the scheme of its colours.
func (b *browser) screen(width, height int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	b.must(err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	b.must(err)
}

// do runs JavaScript.
func (b *browser) do(script string) {
	b.t.Helper()
	b.run(chromedp.Evaluate[chromedp.Void](script))
}

// eval evaluates an expression of JavaScript.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	b.must(err)
	return v
}

// until waits until an expression of JavaScript is true.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for !eval[bool](b, expression) {
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within 30 s: %s", what, eval[string](b, "document.body.innerText"))
		}
		time.Sleep(100 * time.Millisecond)
	}
}
