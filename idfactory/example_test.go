package idfactory_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/brine-go/brine/idfactory"
)

type Task struct{ Name string }

func ExampleSequence() {
	var n int64
	// A store passes its own counter.
	next := func(context.Context) (int64, error) { n++; return n, nil }

	byType, job := idfactory.Sequence(""), idfactory.Sequence("job")
	for _, f := range []idfactory.Factory{byType, job, byType} {
		id, err := f.NewID(context.Background(), &Task{}, next)
		fmt.Println(id, err)
	}
	// Output:
	// Task.1 <nil>
	// job.2 <nil>
	// Task.3 <nil>
}

func ExampleFunc() {
	byName := idfactory.Func(func(_ context.Context, obj any) (idfactory.ID, error) {
		return idfactory.ID("task-" + obj.(*Task).Name), nil
	})
	id, err := byName.NewID(context.Background(), &Task{Name: "align"}, nil)
	fmt.Println(id, err)
	// Output: task-align <nil>
}

func ExampleCompare() {
	ids := []idfactory.ID{"Task.10", "Task.9", "Job.11", "3"}
	slices.SortFunc(ids, idfactory.Compare)
	fmt.Println(ids)
	// Output: [3 Job.11 Task.9 Task.10]
}
