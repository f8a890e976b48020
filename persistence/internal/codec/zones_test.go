package codec

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // a machine may have no zone database

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/persistence/driver"
)

func mustLoad(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

type moment struct{ T time.Time }

func TestTimesKeepTheirLocations(t *testing.T) {
	t.Parallel()
	newYork := mustLoad(t, "America/New_York")
	at := func(loc *time.Location) time.Time { return time.Date(2024, 3, 8, 9, 0, 0, 0, loc) }
	for _, tt := range []struct {
		name   string
		in     time.Time
		loc    string // "": any
		format byte
	}{
		{"a location of the database", at(newYork), "America/New_York", 2},
		{"in summer", time.Date(2024, 7, 8, 9, 0, 0, 1, newYork), "America/New_York", 2},
		{"before zones had rules", time.Date(1700, 1, 1, 0, 0, 0, 0, newYork), "America/New_York", 2},
		{"a name with three parts", at(mustLoad(t, "America/Argentina/Buenos_Aires")), "America/Argentina/Buenos_Aires", 2},
		{"a name that nobody knows", at(time.FixedZone("Mars/Olympus", 5000)), "Mars/Olympus", 2},
		{"a known name at another offset", at(time.FixedZone("America/New_York", 3600)), "America/New_York", 2},
		{"a name with an offset", at(time.FixedZone("UTC+5", 5*3600)), "UTC+5", 2},
		{"a name of the longest", at(time.FixedZone(strings.Repeat("x", maxZoneName), 60)), strings.Repeat("x", maxZoneName), 2},
		{"a path", at(time.FixedZone("../zoneinfo/UTC", 0)), "../zoneinfo/UTC", 2},
		{"a fixed zone with the name of one that has summer time", at(time.FixedZone("CET", 3600)), "CET", 2},
		{"a zone with that name", at(mustLoad(t, "CET")), "CET", 2},
		{"a fixed zone with the name and offset of a place", at(time.FixedZone("Europe/Berlin", 3600)), "Europe/Berlin", 2},
		{"a fixed zone that the database has too", at(time.FixedZone("GMT", 0)), "GMT", 2},
		{"a zone of the database without rules", at(mustLoad(t, "Etc/GMT+5")), "Etc/GMT+5", 2},
		{"an abbreviation that was parsed", time.Date(2024, 1, 8, 9, 0, 0, 0, time.FixedZone("WET", 0)), "WET", 2},
		{"the mark as a name", at(time.FixedZone("=", 60)), "=", 2},
		{"a name that begins with the mark", at(time.FixedZone("=CET", 60)), "=CET", 2},
		{"another UTC", at(time.FixedZone("UTC", 0)), "UTC", 2},
		{"another Local", at(time.FixedZone("Local", 60)), "Local", 2},
		{"UTC", at(time.UTC), "UTC", 1},
		{"Local", at(time.Local), "Local", 1},
		{"a zone without a name", at(time.FixedZone("", 12345)), "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCodec(t)
			data := encode(t, c, nil, &moment{tt.in})
			h, err := c.Parse(data, testLimits)
			if err != nil {
				t.Fatal(err)
			}
			if h.format != tt.format {
				t.Errorf("format version %d", h.format)
			}
			var out moment
			if _, err := c.Decode(h, &out, DecodeOptions{Limits: testLimits}); err != nil {
				t.Fatal(err)
			}
			if !out.T.Equal(tt.in) || out.T.Location().String() != tt.loc || out.T.Format(time.RFC3339Nano) != tt.in.Format(time.RFC3339Nano) {
				t.Errorf("%v in %q became %v in %q", tt.in, tt.in.Location(), out.T, out.T.Location())
			}
			for months := range 12 {
				if got, want := out.T.AddDate(0, months, 0), tt.in.AddDate(0, months, 0); !got.Equal(want) || got.Format(time.RFC1123) != want.Format(time.RFC1123) {
					t.Errorf("%d months later it is %v, want %v", months, got, want)
				}
			}
			if again := encode(t, c, nil, &out); !bytes.Equal(data, again) {
				t.Errorf("saved again:\n%x\n%x", data, again)
			}
		})
	}
	c := newCodec(t)
	out := roundTrip(t, c, newWorld(), &moment{at(newYork)}).(*moment)
	if got, want := out.T.AddDate(0, 0, 7), at(newYork).AddDate(0, 0, 7); !got.Equal(want) {
		t.Errorf("a week later it is %v, want %v", got, want)
	}
}

// A location under its name alone is stored so again, whatever this machine's database makes of it.
func TestNamesOfLocationsStayAsStored(t *testing.T) {
	t.Parallel()
	stamp := "\xd6\xff\x65\x95\x00\x00" // in winter
	for _, tt := range []struct {
		zone    string // offset and name
		differs bool
	}{
		{"\xcd\x0e\x10\xadEurope/Berlin", false},
		{"\x05\xadEurope/Berlin", false}, // an offset that it does not have
		{"\xcd\x0e\x10\xabNo/Such_One", false},
		{"\xcd\x0e\x10\xa5+0100", false},
		{"\xcd\x0e\x10\xa3CET", false},
		{"\xcd\x0e\x10\xa4=CET", false},
		{"\x00\xa3GMT", true}, // of the database, where it is what FixedZone makes
	} {
		c := newCodec(t)
		data := recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+tt.zone)
		h, err := c.Parse(data, testLimits)
		if err != nil {
			t.Fatal(err)
		}
		var out moment
		outcome, err := c.Decode(h, &out, DecodeOptions{Limits: testLimits})
		if err != nil || outcome.Differs != tt.differs || outcome.Old {
			t.Errorf("%q: %+v, %v", tt.zone, outcome, err)
		}
		again, err := c.Parse(encode(t, c, nil, &out), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if string(again.body) != string(h.body) != tt.differs {
			t.Errorf("%q: stored again as %q", tt.zone, again.body)
		}
		checkGeneric(t, c, data, testLimits)
	}
}

// What is no more than an embedded time keeps the zone too, which MarshalBinary does not.
func TestAnEmbeddedTimeKeepsItsLocation(t *testing.T) {
	t.Parallel()
	newYork := mustLoad(t, "America/New_York")
	at := time.Date(2024, 3, 8, 9, 0, 0, 0, newYork)
	c := newCodec(t, reflect.TypeFor[soleTimeValue]())
	for _, in := range []any{
		&soleTime{Time: at},
		&embedsSole{soleTimeValue{at}},
		&soleTimeValue{at.In(time.FixedZone("CET", 3600))},
		&soleTimeValue{at.In(time.FixedZone("", -17761))},
		&box[any]{soleTimeValue{at}},
		&box[[]soleTimeValue]{[]soleTimeValue{{at}, {at.UTC()}, {at.Local()}}},
		&box[map[string]*soleTimeValue]{map[string]*soleTimeValue{"a": {at}}},
	} {
		if diff := cmp.Diff(in, roundTrip(t, c, newWorld(), in), compareAll, sameZone); diff != "" {
			t.Errorf("%T (-want +got):\n%s", in, diff)
		}
		checkGeneric(t, c, encode(t, c, newWorld(), in), testLimits)
	}
	// A field that was a time.Time is read as such a struct.
	for _, in := range []time.Time{at, at.UTC(), at.In(time.FixedZone("", 60))} {
		h, err := c.Parse(encode(t, c, nil, &box[time.Time]{in}), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		var out box[soleTimeValue]
		outcome, err := c.Decode(h, &out, DecodeOptions{Limits: testLimits})
		if err != nil || !sameTime(out.Value.Time, in) || outcome.Old == (in.Location() == newYork) {
			t.Errorf("%v became %v, %v, %+v", in, out.Value, err, outcome)
		}
	}
}

var sameZone = cmp.Comparer(sameTime)

func sameTime(a, b time.Time) bool {
	return a.Equal(b) && a.Location().String() == b.Location().String() && a.AddDate(0, 6, 0).Equal(b.AddDate(0, 6, 0))
}

func TestLocationsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	locations := []*time.Location{time.FixedZone(strings.Repeat("x", maxZoneName+1), 0)}
	if offset := int64(1) << 40; int64(int(offset)) == offset { // an int has 64 bits
		locations = append(locations, time.FixedZone("x", int(offset)))
	}
	for _, loc := range locations {
		_, err := c.NewEncoder(testLimits, nil).Encode(&moment{time.Unix(0, 0).In(loc)}, nil)
		if !errors.Is(err, driver.ErrUnstorable) || !strings.HasPrefix(err.Error(), "moment.T: ") {
			t.Errorf("%.20v: %v", loc, err)
		}
	}
	stamp := "\xd6\xff\x00\x00\x00\x05"
	for name, data := range map[string][]byte{
		"a name in format 1":  recordOf("T", "\x81\xa1T\x93"+stamp+"\x05\xa1x"),
		"no name":             recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+"\x05\xa0"),
		"too long a name":     recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+"\x05\xda\x01\x00"+strings.Repeat("x", 256)),
		"a name of bytes":     recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+"\x05\xc4\x01x"),
		"a mark alone":        recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+"\x05\xa1="),
		"a mark and too much": recordOfVersion(2, "T", "\x81\xa1T\x93"+stamp+"\x05\xda\x01\x01="+strings.Repeat("x", 256)),
		"four parts":          recordOfVersion(2, "T", "\x81\xa1T\x94"+stamp+"\x05\xa1x\xa1x"),
	} {
		if err := decodeInto(c, newWorld(), data, new(moment)); !errors.Is(err, driver.ErrCorrupt) && !errors.Is(err, driver.ErrType) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Names in hostile records neither lead to files elsewhere nor fill the memory.
func TestNamesOfLocationsAreHarmless(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "/", "a/", "/a", "a//b", "..", "a/../b", `a\b`, "C:x", "a b", "é", "a\x00", "Local", "UTC", "zone.tab"} {
		if isZoneName([]byte(name)) {
			t.Errorf("%q is looked up", name)
		}
	}
	c := newCodec(t)
	var times []time.Time
	for i := range 3 * maxZones {
		times = append(times, time.Unix(0, 0).In(time.FixedZone(fmt.Sprintf("No/Zone%d", i), i)))
	}
	out := *roundTrip(t, c, newWorld(), &box[[]time.Time]{times}).(*box[[]time.Time])
	for i, got := range out.Value {
		if got.Location().String() != times[i].Location().String() {
			t.Fatalf("%v became %v", times[i].Location(), got.Location())
		}
	}
	zones.RLock()
	defer zones.RUnlock()
	if len(zones.byName) > maxZones {
		t.Errorf("%d locations are kept", len(zones.byName))
	}
}

func TestNewerFormats(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	body := "\xa1T\x00\x90\x90\xc0"
	for _, b := range []string{headStart + "\x03" + body, headStart + "\xcd\x01\x00" + body, "\x99" + headStart[1:] + "\x07\x01"} {
		_, err := c.Parse(seal([]byte(b)), testLimits)
		if !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), "version") || !strings.Contains(err.Error(), "than 2") {
			t.Errorf("%q: %v", b, err)
		}
		damaged := seal([]byte(b))
		damaged[len(damaged)-1] ^= 1
		if _, err := c.Parse(damaged, testLimits); !errors.Is(err, driver.ErrCorrupt) {
			t.Errorf("%q, damaged: %v", b, err)
		}
	}
}
