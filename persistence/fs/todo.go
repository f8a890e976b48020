package fs

import (
	"errors"
	"fmt"
	"slices"
)

// A todo is what is left of a commit once all is written.
type todo struct {
	renames []rename // each from the next temporary of its folder
	removes []file
}

type rename struct {
	file
	sum uint32 // the last checksum of the file
}

// files returns the files that will change.
func (t *todo) files() []file {
	files := slices.Clone(t.removes)
	for _, r := range t.renames {
		files = append(files, r.file)
	}
	return files
}

func (t *todo) encode(e *encoder) {
	e.mapLen(2)
	e.text("renames")
	e.arrayLen(len(t.renames))
	for _, r := range t.renames {
		e.arrayLen(2)
		e.text(r.fullName())
		e.int(int64(r.sum))
	}
	e.text("removes")
	e.arrayLen(len(t.removes))
	for _, f := range t.removes {
		e.text(f.fullName())
	}
}

// decodeTodo reads a list, whose names resolve turns into files.
func decodeTodo(b []byte, resolve func(string) (file, error)) (*todo, error) {
	body, err := openFrame(commitMark, b)
	if err != nil {
		return nil, err
	}
	d := newDecoder(body)
	defer d.free()
	n, err := d.mapLen()
	if err != nil {
		return nil, err
	}
	t := &todo{}
	for range n {
		key, err := d.text()
		if err != nil {
			return nil, err
		}
		if err := t.decode(d, key, resolve); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	return t, nil
}

// decode reads one entry of a list.
func (t *todo) decode(d *decoder, key string, resolve func(string) (file, error)) error {
	n, err := d.arrayLen()
	if err != nil {
		return err
	}
	for range n {
		switch key {
		case "renames":
			name, sum, err := d.rename()
			if err != nil {
				return err
			}
			f, err := resolve(name)
			if err != nil {
				return err
			}
			t.renames = append(t.renames, rename{f, sum})
		case "removes":
			name, err := d.text()
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

func (d *decoder) rename() (name string, sum uint32, err error) {
	if n, err := d.arrayLen(); err != nil || n != 2 {
		return "", 0, errors.Join(errors.New("not a pair"), err)
	}
	if name, err = d.text(); err != nil {
		return "", 0, err
	}
	n, err := d.dec.DecodeUint64()
	return name, uint32(n), err
}

// fileName reads the name of a record's file, and no other.
func (d *decoder) fileName() (string, error) {
	name, err := d.text()
	if err != nil {
		return "", err
	}
	if _, _, ok := idOf(name); !ok {
		return "", fmt.Errorf("%q is no record's file", name)
	}
	return name, nil
}
