package web

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Characters of a text that are shown in a table, in a tree and as a name in a picture.
const (
	cellLength  = 60
	valueLength = 2000
	labelLength = 32
)

// visible returns a text in which nothing is hidden: bytes that are no UTF-8 and characters that
// print nothing, or change the direction of the text, are replaced by something to be seen.
func visible(s string) string {
	if !strings.ContainsFunc(s, isHidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s { // a byte that is no UTF-8 is U+FFFD here
		switch {
		case r < ' ':
			b.WriteRune('\u2400' + r) // ␀ and the like
		case r == 0x7f:
			b.WriteRune('\u2421')
		case isHidden(r):
			fmt.Fprintf(&b, "\u27e8U+%04X\u27e9", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isHidden reports whether a character is a control or format character, such as those that change
// the direction of a text, or a separator of lines. Joiners of letters and emoji are no such.
func isHidden(r rune) bool {
	switch r {
	case '\u200c', '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// cut returns at most n characters of a text, as visible gives it.
func cut(n int, s string) string {
	if len(s) <= n {
		return visible(s)
	}
	count := 0
	for i := range s {
		if count++; count > n {
			return visible(s[:i]) + "…"
		}
	}
	return visible(s)
}

// lines is visible for a text of several lines, whose line breaks and tabs stay.
func lines(s string) string {
	parts := strings.Split(s, "\n")
	for i, p := range parts {
		fields := strings.Split(p, "\t")
		for j, f := range fields {
			fields[j] = visible(f)
		}
		parts[i] = strings.Join(fields, "\t")
	}
	return strings.Join(parts, "\n")
}

// escaped returns a text of JSON in which hidden characters are written as escapes: it means the
// same.
func escaped(json string) string {
	var b strings.Builder
	for _, r := range json {
		if !isHidden(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// grouped returns a number with a comma between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// bytesText returns a number of bytes for people.
func bytesText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		f /= 1000
		if f < 999.5 {
			return fmt.Sprintf("%.3g %s", f, unit)
		}
	}
	return fmt.Sprintf("%.0f TB", f/1000)
}

// seconds returns a duration for people.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// timeText returns a time in UTC to the second, or "" for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// A shown is a value of a column as a cell shows it.
type shown struct {
	Text  string
	Class string // "num", "null", "time" or ""
	Title string // the whole value, if Text is not; the exact one of a time
}

// showValue shows a value of a column.
func showValue(v any) shown {
	switch v := v.(type) {
	case nil:
		return shown{Text: "–", Class: "null", Title: "NULL"}
	case string:
		return showText(v)
	case int64:
		return shown{Text: strconv.FormatInt(v, 10), Class: "num"}
	case float64:
		return shown{Text: strconv.FormatFloat(v, 'g', -1, 64), Class: "num"}
	case bool:
		return shown{Text: strconv.FormatBool(v)}
	case time.Time:
		return shown{Text: timeText(v), Class: "time", Title: v.UTC().Format(time.RFC3339Nano)}
	case []byte:
		text := hex.EncodeToString(v[:min(len(v), 16)])
		if len(v) > 16 {
			text += fmt.Sprintf("… (%s)", bytesText(int64(len(v))))
		}
		return shown{Text: "0x" + text}
	}
	return showText(fmt.Sprint(v))
}

func showText(s string) shown {
	text := cut(cellLength, s)
	if text == s {
		return shown{Text: text}
	}
	return shown{Text: text, Title: cut(valueLength, s)}
}

// whole returns a value as it is shown where there is room: a text that a cell cuts off is not.
func (v shown) whole() shown {
	if v.Class == "" && v.Title != "" {
		v.Text, v.Title = v.Title, ""
	}
	return v
}
