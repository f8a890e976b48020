package codec

import (
	"encoding/binary"
	"math"
	"time"
	"unsafe"

	"github.com/brine-go/brine/persistence/driver"
)

// A time in UTC is msgpack's own timestamp. Any other is an array of that, the zone's offset in
// seconds east of UTC, and the name of its location, unless that is Local or has no name. A
// location that is this offset and nothing else, under a name that may be of the zone database, has
// "=" before the name.

func encTime(e *Encoder, _ *plan, p unsafe.Pointer) error {
	t := *(*time.Time)(p)
	if t.Location() == time.UTC {
		e.buf = appendTimestamp(e.buf, t)
		return nil
	}
	return e.time(t, storedZone(t))
}

// time appends t with the name of its location as stored; "" for one without.
func (e *Encoder) time(t time.Time, name string) error {
	if t.Location() == time.UTC {
		e.buf = appendTimestamp(e.buf, t)
		return nil
	}
	_, offset := t.Zone()
	if offset != int(int32(offset)) {
		return e.fail(driver.ErrUnstorable, "a zone that is %d seconds off UTC", offset)
	}
	if name == "" {
		e.buf = appendInt(appendTimestamp(append(e.buf, codeFixArray|2), t), int64(offset))
		return nil
	}
	if len(t.Location().String()) > maxZoneName {
		return e.fail(driver.ErrUnstorable, "the name of a location is %d bytes long: at most %d", len(t.Location().String()), maxZoneName)
	}
	e.version = max(e.version, versionZones)
	e.buf = appendInt(appendTimestamp(append(e.buf, codeFixArray|3), t), int64(offset))
	e.buf = appendStr(e.buf, name)
	return nil
}

// appendTimestamp appends t in the shortest of the three forms.
func appendTimestamp(b []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), uint32(t.Nanosecond())
	switch {
	case sec >= 0 && sec <= math.MaxUint32 && nsec == 0:
		return binary.BigEndian.AppendUint32(append(b, codeFixExt4, extTime), uint32(sec))
	case sec >= 0 && sec < 1<<34:
		return binary.BigEndian.AppendUint64(append(b, codeFixExt8, extTime), uint64(nsec)<<34|uint64(sec))
	}
	b = binary.BigEndian.AppendUint32(append(b, codeExt8, 12, extTime), nsec)
	return binary.BigEndian.AppendUint64(b, uint64(sec))
}

func decTime(d *decoder, _ *plan, p unsafe.Pointer) error {
	parts := 0
	if d.pos < len(d.buf) {
		if d.buf[d.pos] == codeFixArray|1 {
			d.unwrap()
		}
		if c := d.buf[d.pos]; c == codeFixArray|2 || c == codeFixArray|3 && d.version >= versionZones {
			parts = int(c &^ codeFixArray)
			d.pos++
		}
	}
	t, err := d.timestamp()
	if err != nil {
		return err
	}
	if parts > 0 {
		offset, err := d.signed(32)
		if err != nil {
			return err
		}
		name := []byte(nil)
		if parts == 3 {
			if name, err = d.zoneName(); err != nil {
				return err
			}
		}
		t = d.inZone(t, int(offset), name)
	}
	*(*time.Time)(p) = t
	return nil
}

func (d *decoder) timestamp() (time.Time, error) {
	if b := d.buf[d.pos:]; len(b) >= 10 && b[0] == codeFixExt8 && b[1] == extTime {
		v := binary.BigEndian.Uint64(b[2:])
		if sec, nsec := int64(v&(1<<34-1)), int64(v>>34); nsec <= 999_999_999 {
			d.pos += 10
			return time.Unix(sec, nsec).UTC(), nil
		}
	}
	b, err := d.content(famExt, extTime, "a timestamp")
	if err != nil {
		return time.Time{}, err
	}
	var sec int64
	var nsec uint32
	switch len(b) {
	case 4:
		sec = int64(binary.BigEndian.Uint32(b))
	case 8:
		v := binary.BigEndian.Uint64(b)
		sec, nsec = int64(v&(1<<34-1)), uint32(v>>34)
	case 12:
		nsec, sec = binary.BigEndian.Uint32(b), int64(binary.BigEndian.Uint64(b[4:]))
	default:
		return time.Time{}, d.corrupt("a timestamp of %d bytes", len(b))
	}
	if nsec > 999_999_999 {
		return time.Time{}, d.corrupt("a timestamp of %d nanoseconds", nsec)
	}
	return time.Unix(sec, int64(nsec)).UTC(), nil
}
