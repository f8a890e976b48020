package main

import (
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// An outTable writes rows as they come. In a pipe they are tab-separated and whole. On a terminal
// they are aligned: the first rows are collected and determine the widths, and which columns fit.
// Later pages may make columns wider. So a list of any length needs little memory.
type outTable struct {
	a     *app
	names []string
	right map[string]bool
	// optional is the number of the first column that may be left out where it does not fit.
	optional int

	rows  [][]cell // not written yet
	first time.Time
	lines int64

	natural []int  // widths of the columns, uncut, as far as they are known
	filled  []bool // columns that had something in them
	shown   []int  // columns; nil: nothing is written yet
	widths  []int  // of all columns
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
			t.a.printf("\t")
		}
		t.a.printf("%s", c.text)
	}
	return t.a.out.WriteByte('\n') // the buffer keeps the first error
}

// flush writes the rows collected.
func (t *outTable) flush() error {
	header := t.shown == nil
	t.fit()
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

// textWidth returns the columns that a text takes.
func textWidth(s string) int { return text.StringWidthWithoutEscSequences(s) }

// fit determines the widths from the rows collected, and at first which columns are shown.
// Later rows make columns wider, never narrower than their content where there is room.
func (t *outTable) fit() {
	if t.natural == nil {
		t.natural, t.filled = make([]int, len(t.names)), make([]bool, len(t.names))
		for i, name := range t.names {
			t.natural[i] = textWidth(name)
		}
	}
	for _, row := range t.rows {
		for i, c := range row {
			t.natural[i] = max(t.natural[i], textWidth(c.text))
			t.filled[i] = t.filled[i] || c.text != ""
		}
	}
	t.widths = slices.Clone(t.natural)
	for i := t.optional; i < len(t.names); i++ {
		t.widths[i] = min(t.widths[i], maxColumn)
	}
	if t.shown == nil {
		t.choose()
	}
	for t.total() > t.a.width {
		i := t.widest()
		if i < 0 {
			break // a very narrow terminal wraps the lines
		}
		t.widths[i]--
	}
}

// choose determines the columns that are shown.
func (t *outTable) choose() {
	t.shown = []int{}
	for i := range t.names {
		if t.shown = append(t.shown, i); i >= t.optional && (!t.filled[i] || t.total() > t.a.width) {
			t.shown = t.shown[:len(t.shown)-1]
		}
	}
}

// total returns the width of a line.
func (t *outTable) total() int {
	total := -tableGap
	for _, i := range t.shown {
		total += t.widths[i] + tableGap
	}
	return total
}

// widest returns the column to cut: the widest one, but no number; and the first one, mostly the
// ID, only if there is no other. It returns -1 if nothing can be cut any more.
func (t *outTable) widest() int {
	widest := -1
	for _, i := range t.shown {
		if t.right[t.names[i]] || t.widths[i] <= minColumn {
			continue
		}
		if widest <= 0 || t.widths[i] > t.widths[widest] {
			widest = i
		}
	}
	return widest
}
