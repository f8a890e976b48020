package main

import (
	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A Job is what the store keeps. Its field State becomes the state column by itself.
type Job struct {
	persistence.Persistable
	Name    string
	Owner   string
	State   string
	Meta    map[string]string
	Results []Result
}

// A Result is part of the record of its job.
type Result struct {
	Code    int
	Seconds float64
}

// columns are the four ways to make an extra field.
var columns = []extrafields.Field{
	// A typed function; the column is NULL for objects that are no jobs. An index makes queries on
	// it fast.
	extrafields.Of("owner", func(j *Job) string { return j.Owner }).Indexed(),
	// A path into the object, whatever its type, and what to store where it leads to nothing.
	extrafields.Get("site", extrafields.Text, `Meta["site"]`).Default("home"),
	// A path without a default: NULL for jobs without a result.
	extrafields.Get("code", extrafields.Int, "Results[0].Code").Only(Job{}),
	// Any function of any object; nil is NULL.
	extrafields.Func("seconds", extrafields.Float, totalSeconds),
}

func totalSeconds(obj any) (any, error) {
	j, ok := obj.(*Job)
	if !ok || len(j.Results) == 0 {
		return nil, nil
	}
	var sum float64
	for _, r := range j.Results {
		sum += r.Seconds
	}
	return sum, nil
}
