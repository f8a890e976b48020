package web

import (
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"github.com/brine-go/brine/persistence"
)

// A rowWriter writes the rows of a list of records as HTML. Elsewhere html/template does; here it
// would take longer than the database, for 200 rows of a dozen cells. What comes from the store is
// written by escape alone.
type rowWriter struct{ b strings.Builder }

func (w *rowWriter) escape(text string) { w.b.WriteString(template.HTMLEscapeString(text)) }

// row writes a record, with the values of its extra columns.
func (w *rowWriter) row(info *persistence.Info, values []shown) {
	w.b.WriteString(`<tr data-key="`)
	w.escape(url.QueryEscape(string(info.ID)))
	w.b.WriteString(`"><th scope="row"><a href="`)
	w.escape(recordLink(info.ID))
	w.b.WriteString(`"><bdi>`)
	w.escape(cut(cellLength, string(info.ID)))
	w.b.WriteString(`</bdi></a></th>`)
	w.cell(shown{Text: cut(cellLength, info.Type)})
	w.b.WriteString(`<td><span class="state `)
	w.escape(colourClass(info.State))
	w.b.WriteString(`"><bdi>`)
	if info.State == "" {
		w.b.WriteString("–")
	}
	w.escape(cut(labelLength, info.State))
	w.b.WriteString(`</bdi></span></td>`)
	w.cell(shown{Text: strconv.FormatInt(info.Revision, 10), Class: "num"})
	w.cell(shown{Text: timeText(info.Created), Class: "time"})
	w.cell(shown{Text: timeText(info.Modified), Class: "time"})
	for _, v := range values {
		w.cell(v)
	}
	w.b.WriteString("</tr>\n")
}

func (w *rowWriter) cell(v shown) {
	w.b.WriteString("<td")
	if v.Class != "" {
		w.b.WriteString(` class="`)
		w.escape(v.Class)
		w.b.WriteString(`"`)
	}
	if v.Title != "" {
		w.b.WriteString(` title="`)
		w.escape(v.Title)
		w.b.WriteString(`"`)
	}
	w.b.WriteString("><bdi>")
	w.escape(v.Text)
	w.b.WriteString("</bdi></td>")
}

// html returns the rows.
func (w *rowWriter) html() template.HTML { return template.HTML(w.b.String()) }
