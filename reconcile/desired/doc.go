// Package desired is what should be in Consul, as far as Marathon has told: the
// model, and how Marathon's words become Consul's. It is pure: no context, no log, no
// clock (times are arguments), and no result depends on map order. The linter holds
// that (.golangci.yml, "pure").
//
//	model.go         the model, and what it can be asked about itself
//	want.go          what should be there of one task (Want), or of one name's keys (WantKeys)
//	grounds.go       why something may be removed; reason.go: why something is not there
//	apply_event.go   what an event changes; the event table is in the doc of package reconcile
//	apply_deployment.go  the same for events that name apps: plans, their ends, changes of groups
//	apply_answer.go  what an app's own answer changes; apply_snapshot.go: what all of them do
//	effects.go       what there is to do after a change: names of things
//	journal.go       events that came while something was being read
//	forget.go        what is dropped, and when: unlisted apps, tombstones, old definitions
//	place.go         where tasks are, and the definitions that they run
//	shaping.go       what options say about services and keys; filter.go: which apps, which labels
//	labels.go        what an app's labels say of them; allegro.go: what those of marathon-consul say
//	settings.go      what both make of labels; values.go: what values of labels may be
//	shape.go         what a definition is in Consul, by options and labels
//	become.go        labels that options make tags and Meta of
//	translate.go     a task as services, labels as keys, whose a service is
//	names.go         who wants which name; clash.go: who goes on where several do
//	another.go       whether another Marathon has our registration ID
//	trouble.go       what is wrong with labels
//	health.go        what answers say of the health of tasks, and health_ready.go of readiness;
//	                 health_event.go: what events say
//	health_read.go   which apps are to be read for a verdict that no event tells of
//	health_want.go   what checks on services should be and say; probes.go: those that agents make
//
// # Shapes
//
// Labels are read once for each definition, and not for each task at each resync: a
// definition is kept with its shape, which has all of its tasks' services but for what is a
// task's own. An answer that changes nothing of a definition keeps it, and its shape. What a
// task should have follows from the task and from the definition that it runs; whether that
// is registered depends on clashes besides. A service that has to wait, for a clash or for an
// address, is left as it is: it is none that an option or a label leaves out.
//
// # Names
//
// An app claims the names of services that are made of its ID, by its present definition or
// by that of a task that runs, and the keys below the name that its ID alone makes. Each name
// has claimants; where there are several, the one that had it before goes on. After a restart
// Consul tells who that was: the services of that name and the keys below it. Names that
// labels give are nobody's.
//
// # Health
//
// A verdict on a task is the last one that Marathon gave: nothing that it merely does not
// say changes it. A result counts if it is of the task's own launch, for an instance
// hands its results on to the next task; so a Marathon that has failed over, and has no
// results, gives no verdict. Of a task with one check an event is the verdict; of one with
// several, and where an event may be about an earlier launch, it is cause to read the
// app. While there is no verdict, the check says what it said before: Consul remembers for us,
// across our own restarts too. Only a check that is new says how old the task is: critical
// while it may be starting, and passing after that.
//
// # Tickets, journal, tombstones
//
// Nothing of Marathon's orders anything: timestamps run backwards, a rollback
// takes versions back, final states come after the deployment's success. So we
// count ourselves. Each event and each read takes the next Ticket. An answer tells
// nothing about events with a later ticket than its own, and of two answers about one
// app the one that was asked for later counts.
//
// The journal keeps the events about tasks and their health since the oldest read in flight was asked for, and
// an answer has those since its own question replayed onto it. Final states need no
// replay, for their tombstones outlast the answer. RUNNING and the lost states win for
// now if they contradict the answer, and lead to one more read, which settles it.
//
// A tombstone says that a task has ended: no later event and no answer that was asked
// for before registers it again. It goes when a snapshot that was asked for later omits
// the task, and after ten minutes at the earliest.
package desired
