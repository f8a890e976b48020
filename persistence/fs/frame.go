package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// A frame is the beginning of every file of this package, a stream of msgpack values:
//
//	mark      a string of 7 bytes, 8 with its code
//	length    of the body, as uint32, 5 bytes
//	body      a map
//	checksum  CRC-32C of all before, as uint32, 5 bytes
const (
	markLen   = 8
	uint32Len = 5
	frameHead = markLen + uint32Len
)

// The marks: the kind of the file and the version of its format.
const (
	recordMark = "\xa7brine/1"
	metaMark   = "\xa7brinem1"
	commitMark = "\xa7brinec1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func appendUint32(b []byte, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, msgpcode.Uint32), n)
}

// readUint32 reads what appendUint32 wrote at the start of b.
func readUint32(b []byte) (uint32, bool) {
	if len(b) < uint32Len || b[0] != msgpcode.Uint32 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[1:]), true
}

// An encoder writes frames into a buffer that it keeps.
type encoder struct {
	buf bytes.Buffer
	enc *msgpack.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.enc = msgpack.NewEncoder(&e.buf)
	return e
}}

func newEncoder() *encoder {
	e := encoders.Get().(*encoder)
	e.buf.Reset()
	return e
}

// free gives the encoder back; what frame returned is then no longer valid.
func (e *encoder) free() {
	if e.buf.Cap() <= 1<<20 {
		encoders.Put(e)
	}
}

// frame writes a frame with the body that fn encodes.
func (e *encoder) frame(mark string, fn func(*encoder)) ([]byte, error) {
	var head [frameHead]byte
	e.buf.Write(head[:])
	fn(e)
	n := e.buf.Len() - frameHead
	if n > 1<<31-1 {
		return nil, errTooLong
	}
	b := e.buf.Bytes()
	copy(b, mark)
	appendUint32(b[markLen:markLen], uint32(n))
	return appendUint32(b, checksum(b)), nil
}

// The values of a body. Their errors would be those of the buffer, which has none.

func (e *encoder) mapLen(n int)          { _ = e.enc.EncodeMapLen(n) }
func (e *encoder) arrayLen(n int)        { _ = e.enc.EncodeArrayLen(n) }
func (e *encoder) text(s string)         { _ = e.enc.EncodeString(s) }
func (e *encoder) int(n int64)           { _ = e.enc.EncodeInt(n) }
func (e *encoder) bool(v bool)           { _ = e.enc.EncodeBool(v) }
func (e *encoder) float(v float64)       { _ = e.enc.EncodeFloat64(v) }
func (e *encoder) bytes(v []byte)        { _ = e.enc.EncodeBytes(v) }
func (e *encoder) timestamp(t time.Time) { _ = e.enc.EncodeTime(t) }
func (e *encoder) null()                 { _ = e.enc.EncodeNil() }

var errTooLong = errors.New("header over 2 GiB")

// frameLen returns the length of the frame whose first frameHead bytes b holds.
func frameLen(mark string, b []byte) (int64, error) {
	if len(b) < frameHead {
		return 0, errors.New("file too short")
	}
	if string(b[:markLen]) != mark {
		return 0, fmt.Errorf("format mark %q, not %q", b[1:markLen], mark[1:])
	}
	n, ok := readUint32(b[markLen:])
	if !ok {
		return 0, errors.New("no length of the header")
	}
	return frameHead + int64(n) + uint32Len, nil
}

// openFrame returns the body of a frame that stands alone and whole in b.
func openFrame(mark string, b []byte) ([]byte, error) {
	n, err := frameLen(mark, b)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != n {
		return nil, fmt.Errorf("%d bytes instead of %d", len(b), n)
	}
	sum, ok := readUint32(b[n-uint32Len:])
	if !ok || sum != checksum(b[:n-uint32Len]) {
		return nil, errors.New("checksum of the header does not match")
	}
	return b[frameHead : n-uint32Len], nil
}

// A decoder reads the msgpack values of a body. It takes no length for granted: a
// checksum can be forged.
type decoder struct {
	src bytes.Reader
	dec *msgpack.Decoder
}

var decoders = sync.Pool{New: func() any {
	d := &decoder{}
	d.dec = msgpack.NewDecoder(&d.src)
	return d
}}

func newDecoder(body []byte) *decoder {
	d := decoders.Get().(*decoder)
	d.src.Reset(body)
	return d
}

func (d *decoder) free() {
	d.src.Reset(nil)
	decoders.Put(d)
}

// bytes reads a string or bytes value.
func (d *decoder) bytes() ([]byte, error) {
	n, err := d.dec.DecodeBytesLen()
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, errors.New("nil instead of text")
	}
	if n > d.src.Len() {
		return nil, fmt.Errorf("text of %d bytes where %d are left", n, d.src.Len())
	}
	b := make([]byte, n)
	if _, err := d.src.Read(b); err != nil && n > 0 {
		return nil, err
	}
	return b, nil
}

func (d *decoder) text() (string, error) {
	b, err := d.bytes()
	return string(b), err
}

// count checks a number of elements, each of at least one byte.
func (d *decoder) count(n int, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	if n < 0 || n > d.src.Len() {
		return 0, fmt.Errorf("%d elements where %d bytes are left", n, d.src.Len())
	}
	return n, nil
}

func (d *decoder) mapLen() (int, error)   { return d.count(d.dec.DecodeMapLen()) }
func (d *decoder) arrayLen() (int, error) { return d.count(d.dec.DecodeArrayLen()) }
