package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/brine-go/brine/persistence"
)

// pagesOf are the pages of a shown store, by the name of their screenshot.
func pagesOf(tasks []*webTask) map[string]string {
	id := func(i int) string { return string(tasks[i].PersistentID()) }
	return map[string]string{
		"overview":   "",
		"records":    "records",
		"filtered":   "records?j=and&c=state&o=in&v=DONE%2CRUNNING&j=or&c=priority&o=ge&v=9&sort=-priority,name&n=25",
		"json":       "records?q=" + strings.ReplaceAll(`{"filters":[{"field":"name","op":"CONTAINS","arg":"lib"}]}`, `"`, "%22"),
		"empty":      "records?c=state&o=eq&v=NOSUCH",
		"wrong":      "records?c=priority&o=eq&v=high",
		"record":     "record?id=" + id(60),
		"hostile":    "record?id=" + id(40),
		"referrers":  "record?id=" + id(60) + "&referrers=1",
		"graph":      "graph?id=" + id(60),
		"graph-more": "graph?id=" + id(60) + "&referrers=1&expand=" + id(59) + "&expand=" + id(56) + "&expand=" + id(40),
		"pairs":      "pairs",
		"claims":     "claims",
		"quarantine": "quarantine",
		"missing":    "record?id=99999",
		"count":      "count",
	}
}

// expected are the errors that Chromium itself writes for an answer that is no success.
func expected(name string) string {
	return map[string]string{"wrong": "400 (Bad Request)", "missing": "404 (Not Found)"}[name]
}

// quiet takes note of what a page is expected to do wrong.
func (b *browser) quiet(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rest []string
	for _, w := range b.wrong {
		if text == "" || !strings.Contains(w, text) {
			rest = append(rest, w)
		}
	}
	b.wrong = rest
}

func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	tests := map[string]func(b *browser, store *persistence.Store, tasks []*webTask){
		"each page is sound":                  pagesAreSound,
		"counts move in place":                countsMove,
		"a list holds still":                  listsHold,
		"a picture follows the states":        picturesFollow,
		"the keyboard is enough":              keyboardIsEnough,
		"nothing is asked while nobody looks": hiddenPagesRest,
	}
	for name, test := range tests {
		if testing.Short() && name != "each page is sound" && name != "counts move in place" {
			continue // those two have the pages, the keyboard, and a page that reads itself again
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, store, tasks := shownStore(t)
			b := newBrowser(t, serveStore(t, url).base)
			test(b, store, tasks)
			b.sound("at the end")
		})
	}
}

func pagesAreSound(b *browser, _ *persistence.Store, tasks []*webTask) {
	pages := pagesOf(tasks)
	widths, schemes := []int64{1280}, []string{"light"}
	if os.Getenv("BRINE_LONG") != "" {
		widths, schemes = []int64{1280, 390}, []string{"light", "dark"}
	} else if testing.Short() { // one of each kind: counts, a list with conditions, a record, a picture, an error
		maps.DeleteFunc(pages, func(name, _ string) bool {
			return !slices.Contains([]string{"overview", "filtered", "hostile", "graph-more", "wrong"}, name)
		})
	}
	for _, width := range widths {
		for _, scheme := range schemes {
			b.screen(width, 844, scheme)
			for name, path := range pages {
				where := fmt.Sprintf("%s-%d-%s", name, width, scheme)
				b.visit(path)
				b.run(chromedp.Sleep(150 * time.Millisecond)) // until the count is there
				b.quiet(expected(name))
				b.sound(where)
				if wide := eval[int](b, "document.documentElement.scrollWidth - innerWidth"); wide > 0 {
					b.t.Errorf("%s: the page is %d pixels wider than the window", where, wide)
				}
				for _, bad := range eval[[]string](b, contrast) {
					b.t.Errorf("%s: contrast: %s", where, bad)
				}
				b.screenshot(where)
				b.tabThrough(where)
			}
		}
	}
}

// screenshot keeps a picture of the page in the folder BRINE_SCREENSHOTS, if that is set.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	dir := os.Getenv("BRINE_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot, err := chromedp.Call(b.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{})
	b.must(err)
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot.Data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// contrast lists the texts whose contrast is below that of WCAG AA. Of a text in a picture, the
// ground is what its node is filled with.
const contrast = `(() => {
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const rgba = (text) => {
		canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = '#0000'; canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
		const d = canvas.getImageData(0, 0, 1, 1).data;
		return [d[0], d[1], d[2], d[3] / 255];
	};
	const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const ground = (e) => {
		const layers = [];
		for (let n = e; n; n = n.parentElement) {
			if (n instanceof SVGElement) {
				const shape = n.nodeName === 'a' || n.nodeName === 'g' ? n.querySelector(':scope > path, :scope > polygon') : null;
				if (shape && n.closest('.node')) { layers.push(rgba(getComputedStyle(shape).fill)); }
			} else layers.push(rgba(getComputedStyle(n).backgroundColor));
		}
		layers.push(rgba(getComputedStyle(document.documentElement).backgroundColor), rgba(matchMedia('(prefers-color-scheme: dark)').matches ? '#000' : '#fff'));
		return layers.reverse().reduce((below, above) => over(above, below));
	};
	const bad = new Set();
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walker.nextNode(); n; n = walker.nextNode()) {
		const e = n.parentElement, style = getComputedStyle(e);
		if (!n.data.trim() || !e.getClientRects().length || style.visibility === 'hidden' || e.closest('title, script, option')) continue;
		const back = ground(e), color = over(rgba(e instanceof SVGElement ? style.fill : style.color), back);
		const [a, b] = [light(color), light(back)].sort((x, y) => y - x);
		const ratio = (a + .05) / (b + .05), size = parseFloat(style.fontSize);
		if (ratio < (size >= 24 || size >= 18.66 && style.fontWeight >= 600 ? 3 : 4.5)) bad.add(ratio.toFixed(2) + ' ' + e.nodeName + '.' + e.getAttribute('class') + ' ' + n.data.trim().slice(0, 40));
	}
	return [...bad];
})()`

// reachable are the elements that the keyboard must reach, in their order.
const reachable = `window.order = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]')].filter((e) =>
	e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden'); window.order.length`

// focused is the place of the element with the focus among those, and whether that shows; -1: it is
// none of them.
const focused = `(() => {
	const e = document.activeElement, style = getComputedStyle(e);
	const shape = e instanceof SVGElement ? e.querySelector('path, polygon') : null;
	const shows = shape ? parseFloat(getComputedStyle(shape).strokeWidth) >= 2.5 : style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
	return [window.order.indexOf(e), shows ? 1 : 0];
})()`

// tabThrough goes through a page with the tab key: everything is reached, once, in order, and one
// sees where one is.
func (b *browser) tabThrough(where string) {
	b.t.Helper()
	b.do("document.activeElement.blur(); scrollTo(0, 0)")
	n := eval[int](b, reachable)
	steps := n
	if testing.Short() {
		steps = min(n, 6)
	} else if os.Getenv("BRINE_LONG") == "" {
		steps = min(n, 12)
	}
	for i := range steps {
		b.run(chromedp.KeyEvent(kb.Tab))
		at := eval[[]int](b, focused)
		if at[0] != i {
			b.t.Errorf("%s: tab %d of %d leads to element %d: %s", where, i, n, at[0], eval[string](b, "document.activeElement.outerHTML.slice(0, 200)"))
			return
		}
		if at[1] == 0 {
			b.t.Errorf("%s: the focus does not show on %s", where, eval[string](b, "document.activeElement.outerHTML.slice(0, 200)"))
			return
		}
	}
	b.do("document.activeElement.blur(); scrollTo(0, 0)")
}

func set(t *testing.T, store *persistence.Store, task *webTask, state string) {
	t.Helper()
	task.State = state
	if _, err := store.SaveOnly(context.Background(), task); err != nil {
		t.Fatal(err)
	}
}

func countsMove(b *browser, store *persistence.Store, tasks []*webTask) {
	b.screen(1280, 300, "light")
	b.visit("")
	b.do("window.mark = 'the same page'; scrollTo(0, 120)")
	top := eval[float64](b, "document.querySelector('#h-types').getBoundingClientRect().top")
	if _, err := store.Save(context.Background(), &webTask{Name: "one more", State: "DONE"}); err != nil {
		b.t.Fatal(err)
	}
	b.until("the total", "document.querySelector('h1').innerText === '162 records'")
	set(b.t, store, tasks[0], "A NEW STATE")
	b.until("a new state", "document.querySelector('main').innerText.includes('A NEW STATE')")
	if rows := eval[string](b, "[...document.querySelectorAll('main table')[0].querySelectorAll('tbody tr')].at(-1).innerText"); !strings.Contains(rows, "A NEW STATE") {
		b.t.Errorf("the last row is %q", rows)
	}
	if eval[string](b, "window.mark") != "the same page" {
		b.t.Error("the page was loaded again")
	}
	if y := eval[float64](b, "scrollY"); y < 100 {
		b.t.Errorf("the page has scrolled to %v", y)
	}
	if now := eval[float64](b, "document.querySelector('#h-types').getBoundingClientRect().top"); now < top || now > top+60 {
		b.t.Errorf("what one reads has moved from %v to %v", top, now) // by the one row that is new
	}
	b.sound("overview")
}

func listsHold(b *browser, store *persistence.Store, tasks []*webTask) {
	set(b.t, store, tasks[0], "FIRST")
	b.visit("records?sort=-modified&n=25")
	b.do("window.mark = 'the same page'; window.before = [...document.querySelectorAll('tbody tr')].map((r) => r.dataset.key).join()")
	first := eval[string](b, "document.querySelector('tbody tr').dataset.key")
	for _, task := range tasks {
		if string(task.PersistentID()) == first {
			set(b.t, store, task, "CHANGED")
		}
	}
	b.until("a state in its row", "document.querySelector('tbody tr').innerText.includes('CHANGED')")
	set(b.t, store, tasks[100], "LATE")
	b.until("the note", "!document.querySelector('[data-changed]').hidden")
	if !eval[bool](b, "window.mark === 'the same page' && window.before === [...document.querySelectorAll('tbody tr')].map((r) => r.dataset.key).join()") {
		b.t.Error("the rows have moved")
	}
	b.run(chromedp.Click(chromedp.CSS("[data-changed] a")), chromedp.WaitReady(chromedp.CSS("footer")))
	b.until("the new list", "document.querySelector('tbody tr').innerText.includes('LATE')")
	b.until("the count", "document.querySelector('[data-load]').innerText.includes('161 records')")
	b.run(chromedp.Click(chromedp.CSS("#pause")))
	b.until("the pause", "document.querySelector('#status').innerText === 'Paused'")
	set(b.t, store, tasks[100], "LATER")
	time.Sleep(3 * time.Second)
	if eval[bool](b, "document.querySelector('tbody').innerText.includes('LATER')") {
		b.t.Error("it does not pause")
	}
	b.run(chromedp.Click(chromedp.CSS("#pause")))
	b.until("going on", "document.querySelector('tbody').innerText.includes('LATER')")
	b.sound("records")
}

func picturesFollow(b *browser, store *persistence.Store, tasks []*webTask) {
	b.visit("graph?id=" + string(tasks[120].PersistentID()))
	class := func() string { return eval[string](b, "document.querySelector('#n1').getAttribute('class')") }
	set(b.t, store, tasks[120], "FAILED")
	b.until("the colour", "document.querySelector('#n1').classList.contains('c2') && document.querySelector('#n1').textContent.includes('FAILED')")
	if !strings.Contains(class(), "centre") {
		b.t.Errorf("its class is %q", class())
	}
	set(b.t, store, tasks[120], "RUNNING")
	b.until("the next colour", "document.querySelector('#n1').classList.contains('c3')")
	before := eval[int](b, "document.querySelectorAll('svg .node').length")
	b.do(`document.querySelector('svg a[href*="expand"]').dispatchEvent(new MouseEvent('click', { bubbles: true }))`)
	b.until("a larger picture", fmt.Sprintf("location.search.includes('expand') && document.querySelectorAll('svg .node').length > %d", before))
	b.sound("graph")
}

func keyboardIsEnough(b *browser, _ *persistence.Store, tasks []*webTask) {
	b.visit("")
	b.run(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, "document.activeElement.className + document.activeElement.getBoundingClientRect().left"); got != "skip0" {
		b.t.Errorf("the first tab leads to %q, which does not show", got)
	}
	b.run(chromedp.KeyEvent(kb.Enter))
	b.until("the skip", "document.activeElement.id === 'main'")
	b.run(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Tab))
	if !eval[bool](b, "document.activeElement.closest('main') !== null") {
		b.t.Error("after the skip, the focus is not in the page")
	}
	b.visit("records")
	b.run(
		chromedp.Focus(chromedp.CSS(`select[name=c]`)), chromedp.SendKeys(chromedp.CSS(`select[name=c]`), "state"),
		chromedp.SendKeys(chromedp.CSS(`input[name=v]`), "FAILED"+kb.Enter),
	)
	b.until("the filter", "location.search.includes('FAILED') && document.querySelectorAll('tbody tr').length > 5")
	if !eval[bool](b, "[...document.querySelectorAll('tbody tr')].every((r) => r.innerText.includes('FAILED'))") {
		b.t.Error("other states are listed")
	}
	b.visit("graph?id=" + string(tasks[150].PersistentID()))
	b.do(`document.querySelector('svg a[href*="expand"]').focus()`)
	b.run(chromedp.KeyEvent(kb.Enter))
	b.until("a larger picture", "location.search.includes('expand')")
	b.sound("keyboard")
}

func hiddenPagesRest(b *browser, _ *persistence.Store, _ []*webTask) {
	b.visit("")
	b.until("it is read again", "document.querySelector('#status').innerText === ''")
	b.do(`window.hide = true; Object.defineProperty(document, 'hidden', { get: () => window.hide }); document.dispatchEvent(new Event('visibilitychange'))`)
	time.Sleep(500 * time.Millisecond)
	before := b.sent()
	time.Sleep(5 * time.Second)
	if n := b.sent() - before; n != 0 {
		b.t.Errorf("%d requests while nobody looks", n)
	}
	b.do(`window.hide = false; document.dispatchEvent(new Event('visibilitychange'))`)
	end := time.Now().Add(10 * time.Second)
	for b.sent() == before && time.Now().Before(end) {
		time.Sleep(50 * time.Millisecond)
	}
	if b.sent() == before {
		b.t.Error("it does not go on")
	}
}

func TestAPageSaysThatTheServerIsGone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes 10 s")
	}
	url, _, _ := shownStore(t)
	s := serveStore(t, url)
	b := newBrowser(t, s.base)
	b.visit("")
	s.stop()
	b.until("the note", "document.querySelector('#status').innerText.startsWith('The server does not answer (since ')")
	before := eval[string](b, "document.querySelector('h1').innerText")
	b.until("longer pauses", "document.querySelector('#status').innerText.endsWith(' 8 s')")
	if before != "161 records" || eval[string](b, "document.querySelector('h1').innerText") != before {
		t.Errorf("the page shows %q", before)
	}
}

// manyTasks returns a recorded workflow of tasks of 10 s, in the form of WfFormat.
func manyTasks(n int) string {
	var tasks, runs []string
	for i := range n {
		tasks = append(tasks, fmt.Sprintf(`{"name": "step", "id": "step %d", "parents": [], "children": []}`, i))
		runs = append(runs, fmt.Sprintf(`{"id": "step %d", "runtimeInSeconds": 10}`, i))
	}
	return fmt.Sprintf(`{"name": "many", "schemaVersion": "1.5", "workflow": {"specification": {"tasks": [%s], "files": []},
		"execution": {"makespanInSeconds": 600, "executedAt": "2026-11-27T12:00:00Z", "tasks": [%s], "machines": []}}}`,
		strings.Join(tasks, ","), strings.Join(runs, ","))
}

// TestAPageFollowsARun looks at examples/taskgraph while it runs.
func TestAPageFollowsARun(t *testing.T) {
	if os.Getenv("BRINE_LONG") == "" {
		t.Skip("BRINE_LONG=1 runs it: it builds and runs another program")
	}
	findChromium(t)
	dir := t.TempDir()
	program, db := filepath.Join(dir, "taskgraph"), filepath.Join(dir, "run.db")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/taskgraph")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	workflow := filepath.Join(dir, "workflow.json")
	if err := os.WriteFile(workflow, []byte(manyTasks(60)), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	var out bytes.Buffer
	run := exec.CommandContext(t.Context(), program, "-store", "sqlite:"+db, "-workflow", workflow, "-scale", "0.07", "-workers", "3")
	run.Stdout, run.Stderr = &out, &out
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	var s *persistence.Store
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err = persistence.MakeStore(t.Context(), "sqlite:"+db+"?mode=ro", nil); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, serveStore(t, db).base)
	b.visit("")
	b.do("window.mark = 'the same page'")
	seen := map[string]bool{}
	running := true
	for running {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			running = false
		case <-time.After(200 * time.Millisecond):
			seen[eval[string](b, "document.querySelector('table').innerText")] = true
		}
	}
	b.until("the end of the run", "[...document.querySelectorAll('table tbody tr')].some((r) => r.innerText.startsWith('DONE')) && !document.querySelector('table').innerText.match(/RUNNING\\s+[1-9]/)")
	if eval[string](b, "window.mark") != "the same page" {
		t.Error("the page was loaded again")
	}
	if len(seen) < 5 {
		t.Errorf("the counts were seen at %d points of the run: %v\n%s", len(seen), seen, out.String())
	}
	t.Logf("the counts were seen at %d points of the run", len(seen))
	b.screenshot("run")
	b.sound("run")
}
