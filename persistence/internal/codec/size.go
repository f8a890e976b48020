package codec

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// errSize is how a walk says that the limit on bytes is broken; Encode makes an ErrTooLarge of it.
var errSize = errors.New("over the limit on bytes")

// room checks that n more bytes are within the limit.
func (e *Encoder) room(n int) error {
	if n > e.limit-len(e.buf) {
		return e.tooBig(n)
	}
	return nil
}

func (e *Encoder) tooBig(more int) error {
	e.need = len(e.buf) - e.base
	if e.need+more > e.need { // else it overflows
		e.need += more
	}
	return errSize
}

// explainSize makes the ErrTooLarge of an object, naming the largest of its fields.
func (e *Encoder) explainSize(pl *plan, p unsafe.Pointer) error {
	size := e.need
	largest, largestSize, sum := e.largest(pl, p)
	msg := fmt.Sprintf("at least %d bytes, over the limit of %d", max(size, sum), e.maxBytes)
	if largest != "" {
		msg += fmt.Sprintf("; the largest field is %s with %d", largest, largestSize)
	}
	return errAt(rootName(e.root), driver.ErrTooLarge, "%s", msg)
}

// Largest returns the name of obj's largest field and its size in bytes; "" where obj is no
// struct that can be stored.
func (e *Encoder) Largest(obj any) (field string, size int) {
	pl, p, err := e.target(obj)
	if err != nil {
		return "", 0
	}
	defer e.reset()
	e.root = pl.typ
	field, size, _ = e.largest(pl, p)
	return field, size
}

// largest returns the largest field of a value, and the sum of all. Each is encoded once more by
// itself: that costs time only when there is an error to explain.
func (e *Encoder) largest(pl *plan, p unsafe.Pointer) (field string, size, sum int) {
	body := pl.body
	if body.kind != kindStruct {
		return "", 0, 0
	}
	for i := range body.fields {
		f := &body.fields[i]
		q, ok := f.stored(p)
		if !ok {
			continue
		}
		n := e.measure(f.pl, q)
		if n > size {
			field, size = f.name, n
		}
		sum += len(f.key) + n
	}
	return field, size, sum
}

// measure returns the size of a value encoded by itself, or a size beyond the limit that it has
// at least.
func (e *Encoder) measure(pl *plan, p unsafe.Pointer) int {
	e.reset()
	e.start()
	if err := pl.enc(e, pl, p); errors.Is(err, errSize) {
		return e.need
	}
	return len(e.buf) - e.base
}
