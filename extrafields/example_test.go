package extrafields_test

import (
	"fmt"
	"time"

	"github.com/brine-go/brine/extrafields"
)

type Task struct {
	Name      string
	Started   time.Time
	Execution struct{ Results []Result }
	Meta      map[string]any
}

type Result struct{ Host string }

func Example() {
	fields := []extrafields.Field{
		extrafields.Of("name", func(t *Task) string { return t.Name }).Indexed(),
		extrafields.Get("host", extrafields.Text, "Execution.Results[0].Host").Only(Task{}).Default("nowhere"),
		extrafields.Get("user", extrafields.Text, `Meta["user"]`).Only(Task{}),
		extrafields.Func("started", extrafields.Time, func(obj any) (any, error) {
			if t, ok := obj.(*Task); ok && !t.Started.IsZero() {
				return t.Started, nil
			}
			return nil, nil
		}),
	}
	task := &Task{Name: "align", Meta: map[string]any{"user": "kim"}}
	for _, f := range fields {
		v, err := f.Value(task)
		fmt.Println(f.Column().Name, f.Column().Kind, v, err)
	}
	// Output:
	// name text align <nil>
	// host text nowhere <nil>
	// user text kim <nil>
	// started time <nil> <nil>
}

func ExampleField_Check() {
	fmt.Println(extrafields.Get("hosts", extrafields.Text, "Results[-1].Host").Check())
	// Output: extra field "hosts": path "Results[-1].Host": neither a decimal nor a quoted string at byte 8
}

func ExampleCanonical() {
	n, err := extrafields.Canonical(extrafields.Int, uint8(200))
	fmt.Printf("%T %v %v\n", n, n, err)
	_, err = extrafields.Canonical(extrafields.Int, 1.5)
	fmt.Println(err)
	// Output:
	// int64 200 <nil>
	// a float64 is no int value
}
