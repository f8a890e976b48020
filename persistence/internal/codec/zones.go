package codec

import (
	"encoding/binary"
	"sync"
	"time"
)

// Names of locations come from bytes that anyone may have written: their length is bounded, few
// characters can be in a name that is looked up, and what is remembered of them is bounded.
const (
	maxZoneName = 255
	maxZones    = 1024 // locations kept: the zone database has about 600
	maxNoZones  = 64   // names that one record may have looked up in vain
)

// zones are the locations that were loaded, by name. They are the same in all codecs.
var zones = struct {
	sync.RWMutex
	byName map[string]*time.Location // nil for a name that is not in the database
}{byName: map[string]*time.Location{}}

// fixedMark begins the stored name of a location that is an offset and nothing else, where that
// could be taken for one of the zone database: time.FixedZone("CET", 3600) has no summer time.
const fixedMark = '='

// storedZone returns the name of t's location as it is stored, "" for none.
func storedZone(t time.Time) string {
	loc := t.Location()
	if loc == time.UTC || loc == time.Local {
		return ""
	}
	name := loc.String()
	if name != "" && (name[0] == fixedMark || isFixed(t, name) && isZoneName([]byte(name))) {
		return string(fixedMark) + name
	}
	return name
}

// isFixed reports whether the location of t, which has the given name, is as time.FixedZone makes
// one: it always has one offset, and its abbreviation is its name.
func isFixed(t time.Time, name string) bool {
	if abbreviation, _ := t.Zone(); abbreviation != name {
		return false
	}
	start, end := t.ZoneBounds()
	return start.IsZero() && end.IsZero()
}

// inZone returns t in the location with the given stored name, if that has the offset then; else
// with the offset under that name. Without a name it is Local, if that has the offset then. In each
// case the result is encoded as it was, or d.differs is set.
func (d *decoder) inZone(t time.Time, offset int, name []byte) time.Time {
	loc := time.Local
	if len(name) > 0 {
		if name[0] == fixedMark {
			return t.In(time.FixedZone(string(name[1:]), offset))
		}
		loc = d.location(name)
	}
	if loc != nil && loc != time.UTC {
		in := t.In(loc)
		if _, o := in.Zone(); o == offset && in.Location() == loc {
			d.differs = d.differs || len(name) > 0 && isFixed(in, string(name))
			return in
		}
	}
	if isZoneName(name) {
		return t.In(unknownZone(string(name), offset))
	}
	return t.In(time.FixedZone(string(name), offset))
}

// unknownZone returns a location of a name that this machine's zone database does not have, or has
// with other offsets. It always has the offset given, but is not as time.FixedZone makes one: its
// abbreviation is the offset, so that it is stored under the name alone, and found again by a
// program whose database has it.
func unknownZone(name string, offset int) *time.Location {
	layout := "-07:00"
	if offset%60 != 0 {
		layout = "-07:00:00"
	}
	abbreviation := time.Unix(0, 0).In(time.FixedZone("", offset)).Format(layout) + "\x00"
	data := make([]byte, 44, 44+6+len(abbreviation)) // RFC 8536, version 1: counts of one type and its text
	copy(data, "TZif")
	data[39], data[43] = 1, byte(len(abbreviation))
	data = append(binary.BigEndian.AppendUint32(data, uint32(int32(offset))), 0, 0)
	loc, err := time.LoadLocationFromTZData(name, append(data, abbreviation...))
	if err != nil {
		return time.FixedZone(name, offset)
	}
	return loc
}

// zoneName reads the name of a location as it is stored.
func (d *decoder) zoneName() ([]byte, error) {
	start := d.pos
	name, err := d.str()
	bare := name
	if len(name) > 0 && name[0] == fixedMark {
		bare = name[1:]
	}
	if err == nil && (len(bare) == 0 || len(bare) > maxZoneName) {
		d.pos = start
		err = d.corrupt("the name of a location is %d bytes long: 1 to %d are possible", len(name), maxZoneName)
	}
	return name, err
}

// location returns the location of a name of the zone database, nil if it is not there.
func (d *decoder) location(name []byte) *time.Location {
	zones.RLock()
	loc, ok := zones.byName[string(name)]
	zones.RUnlock()
	if ok || d.noZone >= maxNoZones || !isZoneName(name) {
		return loc
	}
	loc, err := time.LoadLocation(string(name))
	if err != nil {
		loc = nil
		d.noZone++
	}
	zones.Lock()
	defer zones.Unlock()
	if len(zones.byName) >= maxZones {
		clear(zones.byName)
	}
	zones.byName[string(name)] = loc
	return loc
}

// isZoneName reports whether a name looks like one of the zone database: slashes between words of
// letters, digits, "_", "+" and "-". So it never leads out of the database. Local and UTC are not
// looked up: a location of such a name that is stored is another one.
func isZoneName(name []byte) bool {
	if s := string(name); s == "Local" || s == "UTC" {
		return false
	}
	slash := true // the last byte was one, or there was none
	for _, c := range name {
		switch {
		case c == '/':
			if slash {
				return false
			}
			slash = true
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '+', c == '-':
			slash = false
		default:
			return false
		}
	}
	return !slash
}
