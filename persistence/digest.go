package persistence

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"time"
)

// A digest tells whether a record differs from the one last saved or loaded. It exists in
// memory only: each process draws its own two seeds.
type digest [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// digestOf returns the digest of a record's contents. The type is part of data. buf is scratch
// space, returned for the next call.
func digestOf(buf []byte, state string, fields []any, data []byte) (digest, []byte) {
	buf = buf[:0]
	buf = binary.LittleEndian.AppendUint64(buf, maphash.Bytes(seeds[0], data))
	buf = binary.LittleEndian.AppendUint64(buf, maphash.Bytes(seeds[1], data))
	buf = appendText(buf, state)
	for _, v := range fields {
		switch v := v.(type) {
		case nil:
			buf = append(buf, 'n')
		case string:
			buf = appendText(append(buf, 's'), v)
		case []byte:
			buf = append(binary.AppendUvarint(append(buf, 'x'), uint64(len(v))), v...)
		case int64:
			buf = binary.LittleEndian.AppendUint64(append(buf, 'i'), uint64(v))
		case float64:
			buf = binary.LittleEndian.AppendUint64(append(buf, 'f'), math.Float64bits(v))
		case bool:
			if v {
				buf = append(buf, 't')
			} else {
				buf = append(buf, 'u')
			}
		case time.Time:
			buf = binary.LittleEndian.AppendUint64(append(buf, 'm'), uint64(v.UnixMicro()))
		}
	}
	return digest{maphash.Bytes(seeds[0], buf), maphash.Bytes(seeds[1], buf)}, buf
}

func appendText(buf []byte, s string) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(s))), s...)
}
