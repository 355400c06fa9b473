package desired

import (
	"slices"
	"time"

	"consular/consul"
	"consular/marathon"
)

// Model is what should be in Consul, as far as Marathon has told. Events and answers
// change it; Want and WantKeys read it, one task or one name at a time. It is pure: no
// clock, no log, no I/O, and no result depends on map order. It is not safe for
// concurrent use.
type Model struct {
	tr Translation

	// now orders what was heard and what was asked for; see Ticket.
	now Ticket
	// ready is false until the first complete snapshot: nothing is deregistered
	// before it.
	ready bool
	// snapshot is the ticket of the newest snapshot.
	snapshot Ticket
	// unidentified is set when that snapshot held an app whose ID could not be read:
	// any service could be its own.
	unidentified bool

	// apps are those that Marathon has, and those that a snapshot has omitted without a
	// word.
	apps map[string]*appEntry
	// gone are IDs that Marathon said are no apps: deleted ones, and pods.
	gone map[string]goneEntry
	// goneNames has, of those of gone that were apps, one for each service name.
	goneNames map[string]string
	tasks     map[string]*taskEntry
	// another is what is known of another Marathon with our registration ID.
	another Another
	// running counts the tasks that run and are not left out, the services that they should
	// have, and those of them whose checks say what Marathon does.
	running struct{ tasks, services, mirrored int }
	// onHost are the IDs of tasks by their host, so that what concerns one agent
	// does not cost a look at all tasks. What is left out is not among them.
	onHost map[string]map[string]struct{}
	// ended are the tombstones: no later event or stale answer registers these
	// tasks again.
	ended map[string]tombstone
	// definitions of versions that are not the app's own any more, by app and version.
	definitions map[Version]definition
	// names are those made of the IDs of apps, and who wants what they stand for.
	names map[string]*named
	// leftOut are the apps of Marathon's that an option leaves out, by their IDs, and which
	// one. Nothing else is known of them.
	leftOut map[string]string
	// troubled are the apps with definitions whose labels have problems.
	troubled map[string]struct{}
	// wanted is room for claims.
	wanted []string

	deployments deployments
	journal     journal

	// at is when something was last heard, by our clock, and ahead how far Marathon's is
	// ahead of it.
	at    time.Time
	ahead time.Duration
	// hasChecks is set while any definition has checks, and instances has the IDs of tasks
	// whose health is known by those of their instances.
	hasChecks bool
	instances map[string]string
	// watched are the apps that are to be read for the health of their tasks.
	watched map[string]*watch
	// nextDue is when the first of them is due at the earliest; zero for never.
	nextDue time.Time
	// failed are the apps of deployments that failed since the last snapshot was
	// asked for, and when that was heard. A change that names no app may take back
	// what they did.
	failed map[string]Ticket
	// deferred are apps that changed before the first snapshot was in, and when
	// that was heard.
	deferred map[string]Ticket
}

// Ticket orders events and reads: an answer tells nothing about events heard
// after its read was asked for, and the answer that was asked for later counts.
// Marathon's versions and timestamps order nothing.
type Ticket uint64

// Version names an immutable definition.
type Version struct{ App, Version string }

// appEntry is one app that Marathon has.
type appEntry struct {
	app marathon.App // without its tasks and their readiness results
	// name is the one that is made of its ID, and shape what its definition is in Consul; nil
	// while that is not known.
	name  string
	shape *shape
	// claims are the names of services, made of its ID, that it uses, in order. mixed is set
	// while tasks of old versions use more than its present definition.
	claims []string
	mixed  bool
	// asked is the ticket of the read that told; 0 of an app that only services name. told is
	// that of the newest event or read when its answer came.
	asked, told Ticket
	// unreadable apps are there, but could not be decoded: left as they are.
	unreadable bool
	// stopped is the ticket of the event that announced the app's end; 0 when none has,
	// or when something heard later takes it back.
	stopped Ticket
	// missing is since when snapshots omit the app, though nothing has announced its end;
	// zero while it is there. It keeps its name and its keys until Marathon itself says
	// that it is gone.
	missing time.Time
	// explained is set when the answer lists as many tasks in service as the app should
	// have: then it has said what became of those that it omits.
	explained bool
	tasks     map[string]struct{}
	// ready are the results of its tasks' readiness checks.
	ready map[marathon.ReadinessCheckResult]struct{}
}

// goneEntry remembers that an ID is no app, so that a pod's events cost no
// reads and what a deleted app leaves behind needs no second question.
type goneEntry struct {
	asked Ticket
	at    time.Time
	// wasApp is false for what was never seen to be an app.
	wasApp bool
	// mayExist is set when it may be an app now: a deployment has named it since,
	// or there was a resync.
	mayExist bool
}

type taskEntry struct {
	task marathon.Task
	// lost tasks may come back: deregistered, not forgotten.
	lost bool
	// again is set when an earlier task had the same ID. Events of that one may still
	// come, and look like this one's.
	again bool
	// out is set when the definition that it runs leaves the app out.
	out bool
	// services are how many it should have; counted is set while they are in the model's sum.
	counted  bool
	services int32
	// health is nil for a task without checks.
	health *health
}

func (t *taskEntry) running() bool { return !t.lost && t.task.State.Phase() == marathon.Running }

type tombstone struct {
	heard Ticket
	at    time.Time
	// listed is the newest read whose answer still has the task.
	listed Ticket
	// killing is since when all that is known is that it is being killed; zero when it has ended.
	killing time.Time
}

type definition struct {
	marathon.Definition
	shape *shape
	// gone versions were deleted in Marathon: what is registered stays.
	gone bool
}

// tombstoneLife is how long an ended task is remembered at least.
const tombstoneLife = 10 * time.Minute

// Framework is the frameworkId of GET /v2/info that services are marked with; "" while
// it is not known.
func (m *Model) Framework() string { return m.tr.Framework }

// SetFramework takes in what GET /v2/info said. Once known, an answer without it says
// nothing.
func (m *Model) SetFramework(id string) {
	if id != "" {
		m.tr.Framework = id
	}
}

// SetToken takes in which token services are registered with from now on, by its accessor
// ID: an agent syncs a service with the one that it was registered with, and that one may
// be deleted.
func (m *Model) SetToken(accessor string) { m.tr.Token = accessor }

// Owns reports whether a service is ours, and which app it is tagged with.
func (m *Model) Owns(s consul.Service) (app string, ours bool) { return m.tr.Owns(s) }

// Translation says how things are written, with the framework that is known now.
func (m *Model) Translation() Translation { return m.tr }

// Has reports whether Marathon has an app of this service name.
func (m *Model) Has(name string) bool {
	n := m.names[name]
	return n != nil && (len(n.keyless) > 0 || slices.ContainsFunc(n.keys.claimants, func(one claimant) bool { return m.app(one.app) != nil }))
}

// New returns an empty model that waits for its first snapshot.
func New(tr Translation) *Model {
	return &Model{
		tr:          tr,
		apps:        map[string]*appEntry{},
		gone:        map[string]goneEntry{},
		goneNames:   map[string]string{},
		tasks:       map[string]*taskEntry{},
		onHost:      map[string]map[string]struct{}{},
		ended:       map[string]tombstone{},
		definitions: map[Version]definition{},
		names:       map[string]*named{},
		leftOut:     map[string]string{},
		troubled:    map[string]struct{}{},
		deployments: deployments{},
		failed:      map[string]Ticket{},
		deferred:    map[string]Ticket{},
	}
}

// Names returns the names that are made of the IDs of apps, in order.
func (m *Model) Names() []string { return sortedKeys(m.names) }

// Hosts returns the hosts of all tasks, in order.
func (m *Model) Hosts() []string { return sortedKeys(m.onHost) }

// app returns an app that Marathon has; nil when it has none, or omits it.
func (m *Model) app(id string) *appEntry {
	if a := m.apps[id]; a != nil && a.missing.IsZero() {
		return a
	}
	return nil
}

// TasksOn returns the IDs of the tasks that run on any of the hosts, in order.
func (m *Model) TasksOn(hosts ...string) []string {
	var ids []string
	for _, host := range hosts {
		for id := range m.onHost[host] {
			if !m.tasks[id].lost {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Count returns how many apps and running tasks there are, without what is left out.
func (m *Model) Count() (apps, tasks int) {
	for _, a := range m.apps {
		if a.missing.IsZero() && (a.shape == nil || a.shape.leftOut == "") {
			apps++
		}
	}
	return apps, m.running.tasks
}

// Services returns how many services the tasks that run should have.
func (m *Model) Services() int { return m.running.services }
