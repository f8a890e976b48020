package main

import "strings"

// fill breaks the paragraphs of a text of the manual for the width of a terminal. Lines that begin
// with a space, such as examples and tables, stay as they are; so does all in a pipe.
func (a *app) fill(text string) string {
	if !a.isTerminal {
		return text
	}
	var lines []string
	words, width := "", 0 // of the paragraph, so far
	end := func() {
		if words != "" {
			lines = append(lines, words)
		}
		words, width = "", 0
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			end()
			lines = append(lines, line)
			continue
		}
		for word := range strings.FieldsSeq(line) {
			n := len([]rune(word))
			if words != "" && width+1+n > a.width {
				end()
			}
			if words != "" {
				words, width = words+" ", width+1
			}
			words, width = words+word, width+n
		}
	}
	end()
	return strings.Join(lines, "\n")
}
