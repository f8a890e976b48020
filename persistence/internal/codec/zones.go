package codec

import (
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

// inZone returns t in the location of the given name, if that has the offset then; else with the
// offset under that name. Without a name it is Local, if that has the offset then. In each case the
// result is encoded as it was.
func (d *decoder) inZone(t time.Time, offset int, name []byte) time.Time {
	loc := time.Local
	if len(name) > 0 {
		loc = d.location(name)
	}
	if loc != nil && loc != time.UTC {
		in := t.In(loc)
		if _, o := in.Zone(); o == offset && in.Location() == loc {
			return in
		}
	}
	return t.In(time.FixedZone(string(name), offset))
}

// zoneName reads the name of a location.
func (d *decoder) zoneName() ([]byte, error) {
	start := d.pos
	name, err := d.str()
	if err == nil && (len(name) == 0 || len(name) > maxZoneName) {
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
