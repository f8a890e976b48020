package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

const maxRuntime = 1e9 // seconds: 31 years

// graph makes the objects and ties them together.
func (in *wfInstance) graph() (*Workflow, error) {
	spec, exec := &in.Workflow.Specification, &in.Workflow.Execution
	w := &Workflow{Name: in.Name}
	tasks, files, machines := make(map[string]*Task), make(map[string]*File), make(map[string]*Machine)
	for _, m := range exec.Machines {
		machines[m.NodeName] = &Machine{Name: m.NodeName, OS: m.System + "/" + m.Architecture, CPUs: m.CPU.CoreCount}
		w.Machines = append(w.Machines, machines[m.NodeName])
	}
	for _, f := range spec.Files {
		files[f.ID] = &File{Name: f.ID, Size: f.SizeInBytes}
	}
	for _, t := range spec.Tasks {
		if t.ID == "" || tasks[t.ID] != nil {
			return nil, fmt.Errorf("task ID %q is empty or given twice", t.ID)
		}
		tasks[t.ID] = &Task{Name: t.ID, Kind: t.Name, State: Submitted}
		w.Tasks = append(w.Tasks, tasks[t.ID])
	}
	if len(w.Tasks) == 0 {
		return nil, errors.New("it has no tasks")
	}
	for _, t := range spec.Tasks {
		for _, id := range t.Parents {
			if tasks[id] == nil {
				return nil, fmt.Errorf("task %q names a parent %q that is not there", t.ID, id)
			}
			tasks[t.ID].dependsOn(tasks[id])
		}
		for _, id := range t.Children {
			if tasks[id] == nil {
				return nil, fmt.Errorf("task %q names a child %q that is not there", t.ID, id)
			}
			tasks[id].dependsOn(tasks[t.ID])
		}
		for _, id := range t.InputFiles {
			tasks[t.ID].reads(entry(files, id, func() *File { return &File{Name: id} }))
		}
		for _, id := range t.OutputFiles {
			tasks[t.ID].writes(entry(files, id, func() *File { return &File{Name: id} }))
		}
	}
	for i := range exec.Tasks {
		e := &exec.Tasks[i]
		if tasks[e.ID] == nil {
			return nil, fmt.Errorf("task %q was run but is not specified", e.ID)
		}
		if err := e.record(tasks[e.ID], machines); err != nil {
			return nil, err
		}
	}
	return w, w.checkAcyclic()
}

// record keeps in a task what is known of its run.
func (e *wfExecuted) record(t *Task, machines map[string]*Machine) error {
	if e.RuntimeInSeconds < 0 || e.RuntimeInSeconds > maxRuntime {
		return fmt.Errorf("task %q has a runtime of %g s", e.ID, e.RuntimeInSeconds)
	}
	if p := e.Command.Program; p != "" && len(p) <= 40 && !strings.ContainsAny(p, " \t\r\n") {
		t.Kind = p // else it is a whole script
	}
	t.Recorded = time.Duration(e.RuntimeInSeconds * float64(time.Second))
	if len(e.Machines) > 0 {
		t.Machine = entry(machines, e.Machines[0], func() *Machine { return &Machine{Name: e.Machines[0]} })
	}
	return nil
}

// entry returns what m has under key, made anew if there is nothing.
func entry[V any](m map[string]*V, key string, make func() *V) *V {
	if m[key] == nil {
		m[key] = make()
	}
	return m[key]
}
