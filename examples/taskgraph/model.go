package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A State is how far a task has come. A field named State of a string kind becomes
// the state column of the task's record, without further ado.
type State string

// The states.
const (
	Submitted State = "SUBMITTED" // waits for the tasks it depends on, or for a worker
	Running   State = "RUNNING"   // a worker has it, or had it when the program was killed
	Done      State = "DONE"
	Failed    State = "FAILED"
	Blocked   State = "BLOCKED" // will not run: a task that it depends on has failed
)

// states in the order of the summary.
var states = []State{Submitted, Running, Done, Failed, Blocked}

// A Workflow is the root of the graph: saving it saves all the rest, and so does loading.
//
// Each of the four types embeds Persistable, so each object is a record of its own, and
// pointers between them are references between records. They may lead both ways and in circles.
type Workflow struct {
	persistence.Persistable
	Name      string
	Source    string // the module's folder, or the workflow's file
	Simulated bool
	Tasks     []*Task
	Machines  []*Machine
}

// A Task is one step.
type Task struct {
	persistence.Persistable
	Name     string
	Kind     string
	State    State
	Attempts int           // how often it was started
	Started  time.Time     // of the last attempt
	Took     time.Duration // the last attempt, once it has ended
	Recorded time.Duration // what it took when the workflow really ran; for simulated tasks
	Output   string        // the last lines of a failure

	Deps       []*Task // it waits for these
	Dependents []*Task // these wait for it
	Inputs     []*File
	Outputs    []*File
	Machine    *Machine // where it ran; nil: nowhere yet
}

// A File is what tasks read and write.
type File struct {
	persistence.Persistable
	Name   string
	Size   int64
	MadeBy *Task // nil: it was there from the beginning
	UsedBy []*Task
}

// A Machine is where tasks run.
type Machine struct {
	persistence.Persistable
	Name string
	OS   string
	CPUs int
}

// The names that the types have in a store, for ever: the program may rename its types and still
// read its old stores. Without them the types would be called main.Task and so on.
const (
	typePrefix   = "taskgraph."
	workflowType = typePrefix + "Workflow"
	taskType     = typePrefix + "Task"
	fileType     = typePrefix + "File"
	machineType  = typePrefix + "Machine"
)

func init() {
	persistence.Register[Workflow](workflowType)
	persistence.Register[Task](taskType)
	persistence.Register[File](fileType)
	persistence.Register[Machine](machineType)
}

// columns are what the store keeps beside each object, to search and count by without reading
// objects.
var columns = []extrafields.Field{
	extrafields.Get("name", extrafields.Text, "Name"), // of all four types
	extrafields.Of("kind", func(t *Task) string { return t.Kind }),
	extrafields.Of("attempts", func(t *Task) int { return t.Attempts }),
	extrafields.Of("seconds", func(t *Task) float64 { return t.Took.Seconds() }),
	extrafields.Get("machine", extrafields.Text, "Machine.Name").Only(Task{}),
}

// dependsOn makes t wait for dep, once.
func (t *Task) dependsOn(dep *Task) {
	for _, d := range t.Deps {
		if d == dep {
			return
		}
	}
	t.Deps = append(t.Deps, dep)
	dep.Dependents = append(dep.Dependents, t)
}

// reads makes f an input of t.
func (t *Task) reads(f *File) {
	t.Inputs = append(t.Inputs, f)
	f.UsedBy = append(f.UsedBy, t)
}

// writes makes f an output of t.
func (t *Task) writes(f *File) {
	t.Outputs = append(t.Outputs, f)
	f.MadeBy = t
}

// checkAcyclic returns an error if tasks wait for each other in a circle.
func (w *Workflow) checkAcyclic() error {
	waiting := make(map[*Task]int)
	var ready []*Task
	for _, t := range w.Tasks {
		if waiting[t] = len(t.Deps); len(t.Deps) == 0 {
			ready = append(ready, t)
		}
	}
	for len(ready) > 0 {
		t := ready[0]
		ready = ready[1:]
		delete(waiting, t)
		for _, d := range t.Dependents {
			if waiting[d]--; waiting[d] == 0 {
				ready = append(ready, d)
			}
		}
	}
	var stuck []string
	for _, t := range w.Tasks {
		if waiting[t] > 0 && len(stuck) < 5 {
			stuck = append(stuck, t.Name)
		}
	}
	if len(stuck) > 0 {
		return fmt.Errorf("tasks wait for each other in a circle: %s", strings.Join(stuck, ", "))
	}
	return nil
}
