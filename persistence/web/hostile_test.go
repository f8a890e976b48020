package web_test

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/idfactory"
	"github.com/brine-go/brine/persistence"
	"github.com/brine-go/brine/persistence/web"
)

// hostile are texts that a page must show and not do.
var hostile = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(1)>`,
	`' onmouseover='alert(1)`,
	`javascript:alert(1)`,
	`javascript://%0aalert(1)`,
	`data:text/html,<script>alert(1)</script>`,
	`//evil.example/x`,
	`</title></style></textarea><svg onload=alert(1)>`,
	`{{.}} ${x} <!-- ]]>`,
	"\u202egnp.exe\u2066 \u200f right to left",
	"bell \a, escape \x1b[31m, back \b, delete \x7f, next line \u0085, zero \u200b, \ufeff, separator \u2028",
	`&lt;b&gt; &amp;amp; \N \G \l \"`,
	`a" URL="javascript:alert(1)" tooltip="`,
	"../../etc/passwd?x=1&y=2#frag %2e%2e %zz",
	strings.Repeat("very long ", 18),
	"日本語 עברית 👩‍👩‍👧",
}

type Hostile struct {
	persistence.Persistable
	State string
	Text  string
	Bytes []byte
	Map   map[string]any
	Deps  []*Hostile
}

func init() { persistence.Register[Hostile](`web.<script>alert("type")</script>`) }

var (
	// markup is what the texts would be if they were no text.
	markup = regexp.MustCompile(`(?i)<script>|<img|<svg onload|onerror=alert\(1\)>|(href|src|action|xlink:href)="\s*(javascript|data):|(href|src)="//`)
	typed  = regexp.MustCompile(`<input[^>]* value="[^"]*"`)
	// hidden are characters that no page may have, but for joiners and line breaks.
	hidden = regexp.MustCompile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u0080-\u009f\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
)

func TestHostileNamesAndValuesStayText(t *testing.T) {
	t.Parallel()
	backends := []string{"sqlite", "mem", "fs"}
	if testing.Short() {
		backends = backends[:1]
	}
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := open(t, storeURL(t, backend), &persistence.Options{
				IDs:         idfactory.UUIDv7(),
				ExtraFields: []extrafields.Field{extrafields.Of("text", func(h *Hostile) string { return h.Text })},
			})
			var ids []persistence.ID
			centre := &Hostile{State: "</span><script>", Text: "bad utf8 \xff\xfe", Bytes: []byte("<script>"), Map: map[string]any{}}
			for i, text := range hostile {
				id := persistence.ID(text)
				if len(id) > 191 {
					id = id[:191]
				}
				o := &Hostile{State: text[:min(len(text), 60)], Text: text, Bytes: []byte(text), Map: map[string]any{text: []any{text}}}
				if !utf8.ValidString(o.State) {
					o.State = strings.ToValidUTF8(o.State, "")
				}
				check(t, s.Insert(t.Context(), id, o))
				check(t, s.KV().Set(t.Context(), string(id), text))
				centre.Deps = append(centre.Deps, o)
				centre.Map[text] = text
				ids = append(ids, id)
				if i%4 == 0 {
					_, err := s.Claim(t.Context(), &persistence.Query{Where: []persistence.Cond{persistence.Eq("id", id)}}, persistence.ClaimOptions{Owner: text, Lease: 1 << 40})
					check(t, err)
				}
			}
			check(t, s.Insert(t.Context(), "centre", centre))
			check(t, s.Insert(t.Context(), "<b>away", &Hostile{Text: "x"}))
			check(t, s.Quarantine(t.Context(), `<script>alert("reason")</script>`, "<b>away"))
			pages := []string{"/", "/records", "/records?n=200&sort=-text", "/pairs", "/claims", "/quarantine", "/record?id=centre&referrers=1", "/graph?id=centre"}
			for _, id := range ids {
				pages = append(pages, query("/record", "id", string(id), "referrers", "1"), query("/graph", "id", string(id), "referrers", "1"),
					query("/graph", "id", "centre", "expand", string(id)),
					query("/records", "j", "and", "c", "text", "o", "eq", "v", string(id)), query("/records", "c", string(id), "o", string(id), "v", string(id)),
					query("/records", "sort", string(id)), query("/records", "q", string(id)), query("/records", "after", string(id)),
					query("/records", "n", string(id)), query("/pairs", "prefix", string(id)), "/"+url.PathEscape(string(id)))
			}
			h := web.Handler(s, &web.Options{Draw: draw, Title: hostile[0]})
			for _, p := range pages {
				a := ask(t, h, p)
				if a.code >= 500 {
					t.Errorf("%s: %d: %s", p, a.code, text(a.body))
				}
				if m := markup.FindString(a.body); m != "" {
					t.Errorf("%s: a text has become %q", p, m)
				}
				// What is typed into a form is there again, as it was typed.
				if m := hidden.FindString(typed.ReplaceAllString(a.body, "")); m != "" {
					t.Errorf("%s has the character %+q", p, m)
				}
				if !utf8.ValidString(a.body) {
					t.Errorf("%s is no UTF-8", p)
				}
				if n := strings.Count(a.body, "<script"); n != 1 {
					t.Errorf("%s has %d scripts", p, n)
				}
			}
			for _, id := range ids {
				a := ask(t, h, query("/record.json", "id", string(id)))
				if a.code != 200 || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
					t.Errorf("the JSON of %q: %d %s", id, a.code, a.header.Get("Content-Type"))
				}
			}
			if got := rows(page(t, h, "/records?n=200")); len(got) != len(ids)+1 {
				t.Errorf("%d rows of %d records", len(got), len(ids)+1)
			}
		})
	}
}

func TestHostilePicturesLoseWhatIsNoShape(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	id := save(t, s, &Task{Name: "a"})[0]
	svg := func(inside string) string {
		return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">` + inside + `<text>kept</text></svg>`
	}
	for inside, want := range map[string]string{
		`<script>alert(1)</script>`:                                            ``,
		`<g onclick="alert(1)" style="fill:red" class="node c1"></g>`:          `<g class="node c1"></g>`,
		`<a xlink:href="javascript:alert(1)"><text>x</text></a>`:               `<a><text>x</text></a>`,
		`<a xlink:href="java&#10;script:alert(1)"><text>x</text></a>`:          `<a><text>x</text></a>`,
		`<a href="https://evil.example/"><text>x</text></a>`:                   `<a><text>x</text></a>`,
		`<a href="//evil.example/graph?id=1"><text>x</text></a>`:               `<a><text>x</text></a>`,
		`<a href="graph?id=1&amp;expand=2#n2"><text>x</text></a>`:              `<a href="graph?id=1&amp;expand=2#n2"><text>x</text></a>`,
		`<a href="record?id=%3Cb%3E"><text>x</text></a>`:                       `<a href="record?id=%3Cb%3E"><text>x</text></a>`,
		`<a href="graph?id=1" target="_blank" xlink:title="t"><text/></a>`:     `<a href="graph?id=1"><text></text></a>`,
		`<image xlink:href="https://evil.example/x.png"/>`:                     ``,
		`<use href="#x"/><foreignObject><body>hello</body></foreignObject>`:    ``,
		`<style>@import "https://evil.example/"</style>`:                       ``,
		`<animate attributeName="href" values="javascript:alert(1)"/><set/>`:   ``,
		`<rect fill="url(https://evil.example/)" x="1" width="2"/>`:            `<rect x="1" width="2"></rect>`,
		`<rect fill="URL(#a)" x="1"/>`:                                         `<rect x="1"></rect>`,
		`<path d="M0,0 C1,2 3,4 5e-3,6" stroke="#ff00aa"/>`:                    `<path d="M0,0 C1,2 3,4 5e-3,6" stroke="#ff00aa"></path>`,
		`<path d="M0&quot; onload=&quot;alert(1)"/>`:                           `<path></path>`,
		`<g id="main" class="x"/><g id="n12"/>`:                                `<g class="x"></g><g id="n12"></g>`,
		`<text>&lt;script&gt; &amp;amp; "</text>`:                              `<text>&lt;script&gt; &amp;amp; &#34;</text>`,
		`<title>a&#45;&gt;b&nbsp;</title>`:                                     "<title>a-&gt;b\u00a0</title>",
		`<text>` + "\u202e" + `</text>`:                                        "<text>\u27e8U+202E\u27e9</text>",
		`<svg><rect/></svg>`:                                                   ``,
		`<g><!-- c --><?pi x?><![CDATA[<script>]]></g>`:                        `<g>&lt;script&gt;</g>`,
		`<x:script xmlns:x="http://www.w3.org/2000/svg">alert(1)</x:script>`:   ``,
		`<h:text xmlns:h="http://www.w3.org/1999/xhtml" x="1">y</h:text>`:      `<text x="1">y</text>`,
		`<g class="a" class="b" transform="rotate(1) translate(4 -5)"></g>`:    `<g class="a" transform="rotate(1) translate(4 -5)"></g>`,
		`<line x1="0" y1="1" x2="2" y2="3" stroke-dasharray="5,2" begin="0"/>`: `<line x1="0" y1="1" x2="2" y2="3" stroke-dasharray="5,2"></line>`,
	} {
		h := web.Handler(s, &web.Options{Draw: func([]byte) ([]byte, error) { return []byte(svg(inside)), nil }})
		body := page(t, h, query("/graph", "id", string(id)))
		_, after, ok := strings.Cut(body, `aria-label="Picture of the graph">`)
		if !ok {
			t.Errorf("%s: no picture: %s", inside, text(body))
			continue
		}
		got, _, _ := strings.Cut(after, "<text>kept</text></svg>")
		if got != want {
			t.Errorf("%s\n became %s\n   want %s", inside, got, want)
		}
	}
}

func TestWhatIsNoPictureIsSaid(t *testing.T) {
	t.Parallel()
	s := open(t, "mem:", nil)
	id := save(t, s, &Task{Name: "a"})[0]
	deep := strings.Repeat("<g>", 2000) + strings.Repeat("</g>", 2000)
	for name, c := range map[string]struct {
		draw func([]byte) ([]byte, error)
		want string
	}{
		"none":          {nil, "Options.Draw"},
		"an error":      {func([]byte) ([]byte, error) { return nil, fmt.Errorf("dot: <b>syntax") }, "dot: &lt;b&gt;syntax"},
		"a panic":       {func([]byte) ([]byte, error) { panic("out of ink") }, "out of ink"},
		"empty":         {func([]byte) ([]byte, error) { return nil, nil }, "no element svg"},
		"HTML":          {func([]byte) ([]byte, error) { return []byte("<html><body>x</body></html>"), nil }, "no element svg"},
		"cut off":       {func([]byte) ([]byte, error) { return []byte("<svg><g>"), nil }, "is no SVG"},
		"PNG":           {func([]byte) ([]byte, error) { return []byte("\x89PNG\r\n"), nil }, "is no SVG"},
		"an entity":     {func([]byte) ([]byte, error) { return []byte(`<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>`), nil }, "is no SVG"},
		"far too large": {func([]byte) ([]byte, error) { return []byte("<svg>" + strings.Repeat(" ", 9<<20) + "</svg>"), nil }, "at most"},
		"deep":          {func([]byte) ([]byte, error) { return []byte("<svg>" + deep + "</svg>"), nil }, "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := web.Handler(s, &web.Options{Draw: c.draw})
			body := page(t, h, query("/graph", "id", string(id)))
			wants(t, body, "There is no picture", c.want)
			if !slices.Contains(rows(body), string(id)) {
				t.Error("the list does not have the record")
			}
		})
	}
}
