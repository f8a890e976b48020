package main

import (
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// A table writes rows as they come. In a pipe they are tab-separated and whole. On a terminal they
// are aligned: the first rows are collected and determine the widths, and the columns that fit, for
// all. So a list of any length needs little memory.
type outTable struct {
	a     *app
	names []string
	right map[string]bool
	// optional is the number of the first column that may be left out where it does not fit.
	optional int

	rows   [][]cell // not written yet
	first  time.Time
	shown  []int // columns; nil: the widths are not determined yet
	widths []int // of all columns
	lines  int64
}

// A cell is a text in a style.
type cell struct {
	text  string
	style style
}

// What a table collects before it writes.
const (
	tableSample = 200                    // rows
	tablePage   = 50                     // rows, later
	tableDelay  = 500 * time.Millisecond // at most, while rows come
)

const (
	tableGap  = 2  // between columns
	maxColumn = 40 // of an optional column; columns that must be shown may take what there is
	minColumn = 6  // what columns are cut to at most
)

// table begins a table with the columns of these names.
func (a *app) table(names ...string) *outTable {
	return &outTable{a: a, names: names, right: map[string]bool{}, optional: len(names)}
}

// alignRight aligns columns to the right, for numbers.
func (t *outTable) alignRight(names ...string) *outTable {
	for _, name := range names {
		t.right[name] = true
	}
	return t
}

// optionalFrom lets the columns from number n on, counted from 0, be left out on a terminal where
// they do not fit.
func (t *outTable) optionalFrom(n int) *outTable {
	t.optional = n
	return t
}

// row writes a row. A cell is a string or a cell. What does not print is escaped.
func (t *outTable) row(cells ...any) error {
	row := make([]cell, len(t.names))
	for i, c := range cells {
		switch c := c.(type) {
		case cell:
			row[i] = cell{printable(c.text), c.style}
		case string:
			row[i].text = printable(c)
		}
	}
	t.lines++
	if !t.a.isTerminal {
		return t.writeTabs(row)
	}
	if len(t.rows) == 0 {
		t.first = time.Now()
	}
	t.rows = append(t.rows, row)
	full := tableSample
	if t.shown != nil {
		full = tablePage
	}
	if len(t.rows) >= full || time.Since(t.first) > tableDelay {
		return t.flush()
	}
	return nil
}

// end writes what is left. A table without rows is not written at all.
func (t *outTable) end() error {
	if t.a.isTerminal && len(t.rows) > 0 {
		return t.flush()
	}
	return nil
}

// hidden returns the names of the columns that did not fit.
func (t *outTable) hidden() []string {
	var names []string
	if t.shown != nil {
		shown := make(map[int]bool)
		for _, i := range t.shown {
			shown[i] = true
		}
		for i, name := range t.names {
			if !shown[i] {
				names = append(names, name)
			}
		}
	}
	return names
}

func (t *outTable) writeTabs(row []cell) error {
	if t.lines == 1 {
		t.a.printf("%s\n", strings.Join(t.names, "\t"))
	}
	for i, c := range row {
		if i > 0 {
			t.a.out.WriteByte('\t')
		}
		t.a.out.WriteString(c.text)
	}
	return t.a.out.WriteByte('\n')
}

// flush writes the rows collected.
func (t *outTable) flush() error {
	header := t.shown == nil
	if header {
		t.fit()
	}
	w := table.NewWriter()
	w.SetStyle(tableStyle)
	w.SuppressTrailingSpaces()
	configs := make([]table.ColumnConfig, len(t.shown))
	for n, i := range t.shown {
		configs[n] = table.ColumnConfig{Number: n + 1, WidthMin: t.widths[i]}
		if t.right[t.names[i]] {
			configs[n].Align, configs[n].AlignHeader = text.AlignRight, text.AlignRight
		}
	}
	w.SetColumnConfigs(configs)
	if header {
		w.AppendHeader(t.line(func(i int) cell { return cell{t.names[i], bold} }))
	}
	for _, row := range t.rows {
		w.AppendRow(t.line(func(i int) cell { return row[i] }))
	}
	t.rows = t.rows[:0]
	t.a.printf("%s\n", w.Render())
	return t.a.written()
}

// tableStyle has nothing but space between the columns.
var tableStyle = table.Style{
	Name:   "brine",
	Box:    table.BoxStyle{PaddingRight: strings.Repeat(" ", tableGap)},
	Format: table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault},
}

// line returns the cells of the shown columns, cut to their widths.
func (t *outTable) line(at func(i int) cell) table.Row {
	line := make(table.Row, len(t.shown))
	for n, i := range t.shown {
		c := at(i)
		line[n] = t.a.paint(c.style, cut(c.text, t.widths[i]))
	}
	return line
}

// cut cuts a text to a width.
func cut(s string, width int) string { return text.Snip(s, width, "…") }

// fit determines the widths, and the columns that fit, from the rows collected.
func (t *outTable) fit() {
	t.widths = make([]int, len(t.names))
	filled := make([]bool, len(t.names))
	for i, name := range t.names {
		t.widths[i] = text.StringWidthWithoutEscSequences(name)
		for _, row := range t.rows {
			t.widths[i] = max(t.widths[i], text.StringWidthWithoutEscSequences(row[i].text))
			filled[i] = filled[i] || row[i].text != ""
		}
	}
	total := -tableGap
	t.shown = []int{}
	for i := range t.optional {
		t.shown = append(t.shown, i)
		total += t.widths[i] + tableGap
	}
	for i := t.optional; i < len(t.names); i++ {
		t.widths[i] = min(t.widths[i], maxColumn)
		if w := t.widths[i] + tableGap; filled[i] && total+w <= t.a.width {
			t.shown = append(t.shown, i)
			total += w
		}
	}
	for total > t.a.width {
		widest := -1
		for i := range t.optional {
			if !t.right[t.names[i]] && t.widths[i] > minColumn && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // a very narrow terminal wraps the lines
		}
		t.widths[widest]--
		total--
	}
}
