package golden

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealed appends the checksum of all of b.
func sealed(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(slices.Clip(b), 0xce), crc32.Checksum(b, castagnoli))
}

// framed returns a frame of fs.
func framed(mark string, body []byte) []byte {
	b := append([]byte{0xa7}, mark...)
	return sealed(append(binary.BigEndian.AppendUint32(append(b, 0xce), uint32(len(body))), body...))
}

// hostileRecord returns a record of a type without a name in Go, with sound checksums. refs are the
// elements 5 and 6.
func hostileRecord(refs string, body []byte) []byte {
	return sealed(append([]byte("\x98\xa5brine\x01\xa1T\x00"+refs), body...))
}

// hostileFile returns a record's file with sound checksums.
func hostileFile(header string, record []byte) []byte {
	return sealed(append(framed("brine/1", []byte(header)), record...))
}

// header is that of a file with an ID of one byte, for a record of up to 16 MiB.
func header(id byte, record []byte) string {
	size := binary.BigEndian.AppendUint32(nil, uint32(len(record)))
	return "\x88\xa2id\xa1" + string(id) + "\xa4type\xa1T\xa5state\xa0\xa8revision\x01\xa4size\xce" + string(size) +
		"\xa7created\xc0\xa8modified\xc0\xa6fields\x80"
}

// The reader says what is wrong with what nobody wrote, whatever it is, and goes on.
func TestReaderInPythonSurvivesHostileFiles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a test of 5 s: the short form damages stores in TestReaderInPythonFindsChangedBytes")
	}
	python(t)
	dir := filepath.Join(unpack(t, "catalog/fs.tar.gz"), "orders")
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := "\x90\x90"
	const deep = 200_000
	damaged := map[string]bool{}
	for i, body := range [][]byte{
		bytes.Repeat([]byte{0x91}, deep),                               // nested, and cut off
		append(bytes.Repeat([]byte{0x91}, deep), 0xc0),                 // nested, and whole
		[]byte("\xdd\xff\xff\xff\xff"), []byte("\xdf\xff\xff\xff\xff"), // more elements than there are bytes
		[]byte("\xc6\xff\xff\xff\xff"), []byte("\xdb\xff\xff\xff\xff"), // more bytes
		[]byte("\xc9\xff\xff\xff\xff\x01"), []byte("\xc1"), {}, // an extension; no value at all
		[]byte("\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff"), []byte("\xc7\x00\xff"), // times of no form
		[]byte("\xd6\x03\x00\x00\x00\x00"), []byte("\x92\xc0\xd6\x03\x00\x00\x00\x01\x00"), // back-references
		[]byte("\x91\xd6\x03\xff\xff\xff\xff"), []byte("\xd5\x03\x00\x00"),
		[]byte("\x82\xa1a\x01\xa1a\x02"),                                 // a key twice
		[]byte("\xd4\x01a"), []byte("\xd4\x04a"), []byte("\xc7\x00\x01"), // references that the header does not name
		[]byte("\xc0\xc0"), // something after the body
	} {
		id := byte('A' + i)
		record := hostileRecord(none, body)
		write(string(id), hostileFile(header(id, record), record))
		damaged[string(id)] = true
	}
	sound := hostileRecord(none, []byte{0xc0})
	for i, refs := range []string{"\x91\xa1a\x90", "\x90\x91\xa1a", "\x91\x01\x90", "\xc0\xc0", "\x92\xa1a\xa1a\x90"} {
		id := byte('a' + i)
		record := hostileRecord(refs, []byte{0xc0})
		write(string(id), hostileFile(header(id, record), record))
		damaged[string(id)] = true
	}
	for name, head := range map[string]string{
		"u": "\x81\xa2id\x07", "v": "\x81\xa2id\xa1\xff", "w": "\x81\xc4\x02id\xa1w", "x": "\x80", "y": "\x90", "z": "\xdf\xff\xff\xff\xff",
	} {
		write(name, hostileFile(head, sound))
		damaged[name] = true
	}
	write("ok", hostileFile(strings.Replace(strings.Replace(header('k', sound), "\xa1k", "\xa2ok", 1), "state\xa0", "state\xa4\x1b[2J", 1), sound))
	write("zeros", make([]byte, 100)) // what a bad disk makes of a file: it does not begin like a record

	for _, command := range []string{"check", "list", "print"} {
		cmd := exec.Command(python(t), "-B", readerPath, command, dir)
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() != 1 || command != "check") || complaint.Len() > 0 {
			t.Fatalf("%s: %v\n%.2000s", command, err, &complaint)
		}
		found := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSuffix(line, "\n")
			switch command {
			case "print":
				var r readRecord
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Errorf("%v: %.200s", err, line)
				}
				if r.Damage != "" {
					found[r.ID] = true
				}
			case "check":
				id, _, _ := strings.Cut(line, "\t")
				found[id] = true
			}
			if i := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }); i >= 0 {
				t.Errorf("%s prints a control character: %q", command, line)
			}
		}
		if command == "list" {
			continue
		}
		for id := range damaged {
			if id == "v" || id == "u" { // by the ID in the file
				continue
			}
			if !found[id] {
				t.Errorf("%s has nothing to say of %s", command, id)
			}
		}
		if found["ok"] || found["1"] {
			t.Errorf("%s complains of sound records", command)
		}
	}

	// What Go says.
	s := open(t, "file:"+dir, persistence.Options{})
	for id := range damaged {
		if v, err := s.Record(t.Context(), persistence.ID(id)); err == nil {
			if _, err = v.Value(); err == nil {
				t.Errorf("Go reads %s as %v", id, v)
			}
		}
	}
}

// Each byte of a record that is not as it was is damage, to the reader as to Go.
func TestReaderInPythonFindsChangedBytes(t *testing.T) {
	t.Parallel()
	python(t)
	dir := filepath.Join(unpack(t, "catalog/fs.tar.gz"), "orders")
	file, err := os.ReadFile(filepath.Join(dir, "6"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		b := bytes.Clone(file)
		at := 8 + random.IntN(len(b)-8) // the mark says whether it is a record at all
		b[at] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint("r", n)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(reader(t, "check", folder), "\n"); lines != 200 {
		t.Errorf("%d of 200 damaged files are found", lines)
	}
}
