package fs

import (
	"errors"
	"slices"

	"github.com/brine-go/brine/persistence/fs/internal/frame"
)

// A redo is what is left of a commit once all is written.
type redo struct {
	renames []rename // each from the next temporary of its folder
	removes []file
}

type rename struct {
	file
	sum   uint32 // the last frame.Checksum of the file
	whole bool   // sum is that of the whole file, which need not be a sound record's
}

// files returns the files that will change.
func (t *redo) files() []file {
	files := slices.Clone(t.removes)
	for _, r := range t.renames {
		files = append(files, r.file)
	}
	return files
}

func (t *redo) encode(e *frame.Encoder) {
	e.MapLen(2)
	e.Text("renames")
	e.ArrayLen(len(t.renames))
	for _, r := range t.renames {
		parts := 2
		if r.whole {
			parts = 3
		}
		e.ArrayLen(parts)
		e.Text(r.fullName())
		e.Int(int64(r.sum))
		if r.whole {
			e.Bool(true)
		}
	}
	e.Text("removes")
	e.ArrayLen(len(t.removes))
	for _, f := range t.removes {
		e.Text(f.fullName())
	}
}

// decodeRedo reads a list, whose names resolve turns into files.
func decodeRedo(b []byte, resolve func(string) (file, error)) (*redo, error) {
	t := &redo{}
	err := frame.ReadMap(commitMark, b, func(d *frame.Decoder, key string) error { return t.decode(d, key, resolve) })
	if err != nil {
		return nil, err
	}
	return t, nil
}

// decode reads one entry of a list.
func (t *redo) decode(d *frame.Decoder, key string, resolve func(string) (file, error)) error {
	n, err := d.ArrayLen()
	if err != nil {
		return err
	}
	for range n {
		switch key {
		case "renames":
			name, sum, whole, err := decodeRename(d)
			if err != nil {
				return err
			}
			f, err := resolve(name)
			if err != nil {
				return err
			}
			t.renames = append(t.renames, rename{f, sum, whole})
		case "removes":
			name, err := d.Text()
			if err != nil {
				return err
			}
			f, err := resolve(name)
			if err != nil {
				return err
			}
			t.removes = append(t.removes, f)
		default:
			return errors.New("unknown entry")
		}
	}
	return nil
}

func decodeRename(d *frame.Decoder) (name string, sum uint32, whole bool, err error) {
	parts, err := d.ArrayLen()
	if err != nil || parts != 2 && parts != 3 {
		return "", 0, false, errors.Join(errors.New("not a pair"), err)
	}
	if name, err = d.Text(); err != nil {
		return "", 0, false, err
	}
	n, err := d.Uint()
	if err == nil && parts == 3 {
		whole, err = d.Bool()
	}
	return name, uint32(n), whole, err
}
