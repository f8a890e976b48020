package codec

import (
	"math/big"
	"reflect"
	"unsafe"
)

// The text of a big.Float says neither its precision nor its rounding mode, and what is read from
// it has 64 bits: one with others is stored as the bytes of its GobEncode.

var bigFloatType = reflect.TypeFor[big.Float]()

// floatOf returns the big.Float whose MarshalText encodes type t, nil if none does.
func floatOf(t reflect.Type) *field {
	if t == bigFloatType {
		return &field{}
	}
	return promotedFrom(t, "MarshalText", bigFloatType)
}

// hasText reports whether f is read from its text as it is.
func hasText(f *big.Float) bool {
	return (f.Prec() == 64 || f.Prec() == 0) && f.Mode() == big.ToNearestEven
}

func (e *Encoder) bigFloat(f *big.Float) error {
	b, err := f.GobEncode()
	if err != nil {
		return e.failUser("GobEncode", err)
	}
	return e.bin(b)
}

// bigFloat reads what the method of that name of an Encoder wrote.
func (d *decoder) bigFloat(p unsafe.Pointer) error {
	b, err := d.content(famBin, 0, "bytes")
	if err != nil {
		return err
	}
	if err := gobDecode((*big.Float)(p), b); err != nil {
		return d.failUser("GobDecode", err)
	}
	return nil
}

func gobDecode(f *big.Float, b []byte) (err error) {
	defer recoverUser(&err)
	return f.GobDecode(b)
}
