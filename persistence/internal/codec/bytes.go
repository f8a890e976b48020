package codec

import (
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// Bytes. A slice of bytes is msgpack bin, nil or not; an array of bytes is bin of its length.

func encBytes(e *Encoder, _ *plan, p unsafe.Pointer) error {
	b := *(*[]byte)(p)
	if b == nil {
		e.buf = append(e.buf, codeNil)
		return nil
	}
	return e.bin(b)
}

// bin appends b as msgpack bin.
func (e *Encoder) bin(b []byte) error {
	if err := e.room(len(b)); err != nil {
		return err
	}
	e.buf = append(appendBinLen(e.buf, len(b)), b...)
	return nil
}

func decBytes(d *decoder, _ *plan, p unsafe.Pointer) error {
	if d.nilNext() {
		return nil
	}
	b, err := d.bin()
	if err != nil {
		return err
	}
	out := make([]byte, len(b))
	copy(out, b)
	*(*[]byte)(p) = out
	return nil
}

func buildByteArray(pl *plan) {
	n := pl.typ.Len()
	pl.enc = func(e *Encoder, _ *plan, p unsafe.Pointer) error { return e.bin(unsafe.Slice((*byte)(p), n)) }
	pl.dec = func(d *decoder, _ *plan, p unsafe.Pointer) error {
		b, err := d.bin()
		if err != nil {
			return err
		}
		if len(b) != n {
			return d.fail(driver.ErrType, "%d bytes where %d are wanted", len(b), n)
		}
		copy(unsafe.Slice((*byte)(p), n), b)
		return nil
	}
}

// bin reads bytes and returns them where they are.
func (d *decoder) bin() ([]byte, error) {
	if b := d.buf[d.pos:]; len(b) >= 2 && b[0] == codeBin8 && int(b[1]) <= len(b)-2 {
		n := 2 + int(b[1])
		d.pos += n
		return b[2:n], nil
	}
	return d.content(famBin, 0, "bytes")
}
