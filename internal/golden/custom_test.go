package golden

import "github.com/vmihailenco/msgpack/v5"

// Custom writes msgpack of its own.
type Custom struct{ n int64 }

// EncodeMsgpack implements [msgpack.CustomEncoder].
func (c Custom) EncodeMsgpack(e *msgpack.Encoder) error { return e.EncodeInt(c.n) }

// DecodeMsgpack implements [msgpack.CustomDecoder].
func (c *Custom) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	c.n, err = d.DecodeInt64()
	return err
}

// Marshalers holds a value of each type that has a form of its own.
type Marshalers struct {
	T  Text
	B  Binary
	C  Custom
	TP *Text
	M  map[Text]Binary
}
