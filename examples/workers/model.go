package main

import (
	"time"

	"github.com/brine-go/brine/extrafields"
	"github.com/brine-go/brine/persistence"
)

// A State is how far a job has come: jobman's status.
type State string

// The states, in the order of a job's life. A job goes from one to the next; what an engine leaves
// goes back.
const (
	Received  State = "RECEIVED"  // the manager has taken it from its source
	Batched   State = "BATCHED"   // a worker has put it into a batch, which runs in its place
	Pending   State = "PENDING"   // a worker has made it ready: an engine may run it
	Running   State = "RUNNING"   // an engine runs it; if nobody has claimed it, that engine is dead
	Executed  State = "EXECUTED"  // it has ended, well or badly
	Completed State = "COMPLETED" // the manager has seen that it ended well
	Failed    State = "FAILED"    // the manager has seen that it ended badly
)

var states = []State{Received, Batched, Pending, Running, Executed, Completed, Failed}

// A Job is a piece of work, or a batch of such. A field that is no column can be of any type: it
// is only in the record.
type Job struct {
	persistence.Persistable
	Key     string
	JobSpec JobSpec
	State   State

	SourceKey  string // where it comes from; "" for a batch
	SourceMeta SourceMeta

	WorkerKey      string // who made it ready
	Batchable      bool
	ParentBatchKey string    // the batch that it is in
	BatchMeta      BatchMeta // of a batch

	EngineKey  string // who ran it last
	EngineMeta EngineMeta
	Attempts   int // how often it was begun
	Result     string
	Errors     []string
	Purgeable  bool
}

// A JobSpec says what to do: a command or, without one, to compute the SHA-256 of so many bytes.
type JobSpec struct {
	Command   []string `json:"command"`
	HashBytes int64    `json:"hash_bytes"`
	Batchable bool     `json:"batchable"` // small enough to be run together with others
}

// SourceMeta says where in its source a job was.
type SourceMeta struct {
	Number int    // counted from 1
	File   string // "" if it came from no file
}

// BatchMeta lists the jobs of a batch. The references are lazy: loading a batch does not load
// its jobs.
type BatchMeta struct {
	SubJobs []persistence.Ref[Job]
}

// EngineMeta says how an engine ran a job.
type EngineMeta struct {
	Host    string
	Pid     int
	Token   int64 // of the claim under which it ran
	Started time.Time
	Took    time.Duration
}

// IsBatch reports whether the job stands for others.
func (j *Job) IsBatch() bool { return len(j.BatchMeta.SubJobs) > 0 }

// finish is the manager's verdict on a job that was executed.
func (j *Job) finish() {
	j.State = Completed
	if len(j.Errors) > 0 {
		j.State = Failed
	}
	j.Purgeable = true
}

// The names that the types have in a store, for ever.
const (
	jobType    = "workers.Job"
	sourceType = "workers.Source"
)

func init() {
	persistence.Register[Job](jobType)
	persistence.Register[Source](sourceType)
}

// The columns besides those that every store has; state is one of these already. The most
// frequent query, for the jobs in some state, needs no index here: the store has one.
var columns = []extrafields.Field{
	extrafields.Of("job_key", func(j *Job) string { return j.Key }),
	extrafields.Of("source_key", func(j *Job) string { return j.SourceKey }),
	extrafields.Of("worker_key", func(j *Job) string { return j.WorkerKey }),
	extrafields.Of("batchable", func(j *Job) bool { return j.Batchable }),
	extrafields.Of("is_batch", (*Job).IsBatch),
	extrafields.Of("parent_batch_key", func(j *Job) string { return j.ParentBatchKey }),
	extrafields.Of("engine_key", func(j *Job) string { return j.EngineKey }),
	extrafields.Of("attempts", func(j *Job) int { return j.Attempts }),
	extrafields.Of("errors", func(j *Job) int { return len(j.Errors) }),
	extrafields.Of("purgeable", func(j *Job) bool { return j.Purgeable }),
	extrafields.Of("drained", func(s *Source) bool { return s.Drained }),
}

// jobs returns a query for the jobs in any of the states, nil: all, for which the conditions hold.
func jobs(in []State, where ...persistence.Cond) *persistence.Query {
	q := &persistence.Query{Type: jobType, Where: where}
	for _, s := range in {
		q.State = append(q.State, string(s))
	}
	return q
}
