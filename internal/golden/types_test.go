package golden

import (
	"errors"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// Task is what most of the records are. Its fields do not change.
type Task struct {
	persistence.Persistable
	Name     string
	State    string
	Priority int
	Weight   float64
	Urgent   bool
	Digest   []byte
	Due      time.Time
	Needs    []*Task
	Host     *Machine
	Parent   persistence.Ref[Task]
	Meta     map[string]any
	Level    any
	Note     string `msgpack:"note,omitempty"`
}

// Machine is persistable and not registered.
type Machine struct {
	persistence.Persistable
	Host  string
	Cores uint16
	Peers map[string]*Machine
}

// Settings is a registered struct without an identity.
type Settings struct {
	Title string
	Sizes [3]int8
	Took  time.Duration
}

// Level is a registered named kind.
type Level string

// Plain is a struct that is not registered.
type Plain struct{ A, B int }

func init() {
	persistence.Register[Task]("golden.task")
	persistence.Register[Settings]("golden.settings")
	persistence.Register[Level]("golden.level")
	persistence.Register[Kinds]("golden.kinds")
	persistence.Register[Node]("golden.node")
	persistence.Register[Point]("golden.point")
}

// fields are one extra column of each kind, both with and without an index. They are NULL for
// objects other than tasks, and for what a task lacks.
func fields() []extrafields.Field {
	of := func(column string, kind extrafields.Kind, get func(*Task) any) extrafields.Field {
		return extrafields.Func(column, kind, func(obj any) (any, error) {
			t, ok := obj.(*Task)
			if !ok {
				return nil, nil
			}
			return get(t), nil
		})
	}
	note := func(t *Task) any {
		if t.Note == "" {
			return nil
		}
		return t.Note
	}
	digest := func(t *Task) any {
		if t.Digest == nil {
			return nil
		}
		return t.Digest
	}
	due := func(t *Task) any {
		if t.Due.IsZero() {
			return nil
		}
		return t.Due
	}
	return []extrafields.Field{
		of("name", extrafields.Text, func(t *Task) any { return t.Name }).Indexed(),
		of("note", extrafields.Text, note),
		of("priority", extrafields.Int, func(t *Task) any { return t.Priority }).Indexed(),
		of("needs", extrafields.Int, func(t *Task) any { return len(t.Needs) }),
		of("weight", extrafields.Float, func(t *Task) any { return t.Weight }).Indexed(),
		of("half", extrafields.Float, func(t *Task) any { return t.Weight / 2 }),
		of("urgent", extrafields.Bool, func(t *Task) any { return t.Urgent }).Indexed(),
		of("calm", extrafields.Bool, func(t *Task) any { return !t.Urgent }),
		of("digest", extrafields.Bytes, digest).Indexed(),
		of("digest2", extrafields.Bytes, digest),
		of("due", extrafields.Time, due).Indexed(),
		of("due2", extrafields.Time, due),
	}
}

// The types of records.txt.

// Small is a named integer.
type Small int8

// Kinds has a field of each kind that stands for itself.
type Kinds struct {
	Bool bool
	I    int
	I8   int8
	I16  int16
	I32  int32
	I64  int64
	U    uint
	U8   uint8
	U16  uint16
	U32  uint32
	U64  uint64
	F32  float32
	F64  float64
	C64  complex64
	C128 complex128
	S    string
	B    []byte
	A    [4]byte
	T    time.Time
	D    time.Duration
	N    Small
	P    *int
	PP   **int
	PS   *[]int
	Any  any
	Err  func()
	Ch   chan int
}

// Node refers to itself inside one record.
type Node struct {
	Name  string
	Next  *Node
	Other *Node
	Index map[string]int
	Again map[string]int
	Any   any
}

// Tagged has names, a field left out when it is empty, and one that is never stored.
type Tagged struct {
	Long    string `msgpack:"l"`
	Empty   string `msgpack:"e,omitempty"`
	Kept    int    `msgpack:",omitempty"`
	Dropped string `msgpack:"-"`
	hidden  int
}

// Base is embedded, by value and by pointer.
type Base struct{ ID, Kind string }

// Extra is embedded by pointer.
type Extra struct{ Size int64 }

// Outer has the fields of what it embeds among its own, but for the one with a tag.
type Outer struct {
	Base
	*Extra
	Point `msgpack:"at"`
	Name  string
}

// Point is a struct of scalars, and a key of maps.
type Point struct{ X, Y int32 }

// Text has text marshalers.
type Text struct{ s string }

// MarshalText implements [encoding.TextMarshaler].
func (t Text) MarshalText() ([]byte, error) { return []byte("<" + t.s + ">"), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Text) UnmarshalText(b []byte) error {
	if len(b) < 2 || b[0] != '<' || b[len(b)-1] != '>' {
		return errors.New("no brackets")
	}
	t.s = string(b[1 : len(b)-1])
	return nil
}

// Binary has binary marshalers.
type Binary struct{ n byte }

// MarshalBinary implements [encoding.BinaryMarshaler].
func (b Binary) MarshalBinary() ([]byte, error) { return []byte{0xb1, b.n}, nil }

// UnmarshalBinary implements [encoding.BinaryUnmarshaler].
func (b *Binary) UnmarshalBinary(data []byte) error {
	if len(data) != 2 || data[0] != 0xb1 {
		return errors.New("not two bytes")
	}
	b.n = data[1]
	return nil
}

// Formed has a stored form that refers to a persistable object.
type Formed struct{ host *Machine }

// StoredForm returns what is stored.
func (f Formed) StoredForm() []*Machine { return []*Machine{f.host} }

// SetStoredForm takes what was stored.
func (f *Formed) SetStoredForm(form []*Machine) error {
	if len(form) != 1 {
		return errors.New("not one machine")
	}
	f.host = form[0]
	return nil
}
