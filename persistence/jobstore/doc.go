// Package jobstore keeps the jobs of a scheduler: each has an ID and the time at which it is to
// run next. Any number of schedulers, in any number of processes, may share one store; a job
// that is due is acquired by one of them.
//
//	type Job struct {
//		persistence.Persistable
//		Name string
//		Next time.Time
//	}
//
//	func init() { persistence.Register[Job]("mail.Job") }
//
//	store, err := jobstore.Open(ctx, "sqlite:jobs.db", jobstore.Options[Job]{
//		ID:          func(j *Job) string { return j.Name },
//		NextRunTime: func(j *Job) time.Time { return j.Next },
//	})
//	err = store.Add(ctx, &Job{Name: "digest", Next: tomorrow})
//
//	jobs, err := store.Acquire(ctx, "worker 7", time.Now(), 10, time.Minute)
//	for _, a := range jobs {
//		job := a.Job()
//		send(job)
//		job.Next = job.Next.AddDate(0, 0, 1)
//		err := a.Done(ctx) // saves the new time; the job can be acquired again
//	}
//
// A job is a struct that embeds [persistence.Persistable]. It is stored as an ordinary record,
// may refer to other objects, and can be queried by extra fields ([Options].Store,
// [Store.Objects]). If its type is registered, a listing is one query; an unregistered type
// works too, but then every job is read by itself.
//
// # Times
//
// A job keeps its own time.Time, with its zone. The store orders and compares by a column in
// UTC, rounded down to the microsecond. A job whose time is zero is paused: it is never due.
// Jobs with equal times are ordered by the bytes of their IDs.
//
// # Jobs that cannot be read
//
// A job that is damaged, has a type that the program does not know, or refers to an object that
// no longer exists, is reported in an [UnreadableError], in addition to all other jobs, and
// kept as it is. Acquire skips it for a while, so that it does not block the jobs after it.
//
// It is the job store of APScheduler (apscheduler.jobstores), which must not be shared and
// deletes jobs that it cannot restore.
package jobstore
