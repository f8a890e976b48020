package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A style is an SGR sequence of terminals, without its ends. "" is plain.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

// paint returns text in a style, if the output takes colours.
func (a *app) paint(s style, text string) string {
	if !a.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// stateStyles are the styles of states that programs often have.
var stateStyles = func() map[string]style {
	styles := map[string]style{}
	for s, words := range map[style]string{
		green:  "done ok success succeeded successful complete completed finished terminated passed",
		red:    "failed failure error errored aborted killed crashed lost broken timeout",
		cyan:   "running active started working in_progress processing",
		yellow: "blocked stopped paused suspended held retry retrying cancelled canceled skipped",
		dim:    "unknown",
	} {
		for word := range strings.FieldsSeq(words) {
			styles[word] = s
		}
	}
	return styles
}()

func stateStyle(state string) style { return stateStyles[strings.ToLower(state)] }

// size returns the size of a record as it is shown: "1.2 MB" on a terminal, "1234567" elsewhere. A
// size of 0 is not known.
func (a *app) size(n int64) string {
	switch {
	case n == 0:
		return ""
	case !a.isTerminal:
		return strconv.FormatInt(n, 10)
	}
	return humanSize(n)
}

func humanSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n)/1000, "kMGTPE"
	for i := range units {
		if value < 999.95 || i == len(units)-1 {
			return fmt.Sprintf("%.1f %cB", value, units[i])
		}
		value /= 1000
	}
	panic("unreachable")
}

// number returns a number as it is shown: "1,234" on a terminal, "1234" elsewhere.
func (a *app) number(n int64) string {
	if !a.isTerminal {
		return strconv.FormatInt(n, 10)
	}
	return withCommas(n)
}

func withCommas(n int64) string {
	text := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(text, "-")
	var b strings.Builder
	b.WriteString(text[:len(text)-len(digits)])
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// plural returns "1 record", "2,001 records".
func plural(n int64, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return withCommas(n) + " " + noun
}

// time returns a time as it is shown: "5m ago" on a terminal, in RFC 3339 elsewhere.
func (a *app) time(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case !a.isTerminal:
		return t.UTC().Format(time.RFC3339Nano)
	}
	return shortTime(t, a.now())
}

// shortTime returns a time in at most ten columns: relative within a week, else the date.
func shortTime(t, now time.Time) string {
	d := now.Sub(t)
	format := "%s ago"
	if d < 0 {
		d, format = -d, "in %s"
	}
	switch {
	case d < time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf(format, fmt.Sprintf("%ds", d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%dm", d/time.Minute))
	case d < 24*time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%dh", d/time.Hour))
	case d < 7*24*time.Hour:
		return fmt.Sprintf(format, fmt.Sprintf("%dd", d/(24*time.Hour)))
	}
	return t.Local().Format(time.DateOnly)
}

// printable returns text as one line that is safe on a terminal: what does not print is written as
// Go writes it in a string.
func printable(text string) string {
	if !strings.ContainsFunc(text, unprintable) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == unicode.ReplacementChar && !strings.HasPrefix(text[i:], string(r)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !unprintable(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

func unprintable(r rune) bool { return r == unicode.ReplacementChar || !strconv.IsPrint(r) }

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
