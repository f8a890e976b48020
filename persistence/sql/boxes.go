package sql

import "time"

// boxes are values of records as arguments of statements. The records of a batch have few types and
// states, and one time: making an interface of each value anew would cost an allocation each.
type boxes struct {
	texts [8]any // of the last ones
	next  int    // which of texts is replaced
	at    int64
	time  any // of at; nil: none yet
}

// text returns s as an argument.
func (b *boxes) text(s string) any {
	for _, box := range b.texts {
		if box == nil {
			break
		}
		if box.(string) == s {
			return box
		}
	}
	box := any(s)
	b.texts[b.next] = box
	b.next = (b.next + 1) % len(b.texts)
	return box
}

// micros returns a time as an argument.
func (b *boxes) micros(t time.Time) any {
	if at := t.UnixMicro(); b.time == nil || b.at != at {
		b.at, b.time = at, at
	}
	return b.time
}
